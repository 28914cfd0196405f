"""A report in which everything happens, with the foreign text of every field in the caller's hand."""

from collections.abc import Callable

import pytest

from graftline.agents.outcome import OutcomeKind
from graftline.caps import Scope
from graftline.planning.interval import Interval
from graftline.report.model import (
    ApprovalReport,
    AttemptReport,
    CapReport,
    ConflictReport,
    Coverage,
    EstimateReport,
    HealOutcome,
    HealReport,
    QuestionReport,
    Report,
    RunState,
    SalvageReport,
    TaskReport,
    TaskState,
    TestFailure,
    TestReport,
)

MakeReport = Callable[[str], Report]


@pytest.fixture(scope="session")
def make_report() -> MakeReport:
    def make(foreign: str) -> Report:
        def attempt(number: int, outcome: OutcomeKind, cost_usd: float | None) -> AttemptReport:
            return AttemptReport(
                number=number,
                profile="careful",
                tier="deep",
                backend="claude-code",
                version=foreign,
                model=foreign,
                outcome=outcome,
                detail=foreign,
                cost_usd=cost_usd,
                seconds=61.2,
            )

        return Report(
            run="fix-login-111111",
            flow_run_id="11111111-1111-4111-8111-111111111111",
            state=RunState.PARTIAL,
            reason=foreign,
            target="main",
            base_commit="a" * 40,
            landed_commit=None,
            branch="graftline/fix-login-111111",
            tested_tree="b" * 40,
            cost_usd=None,
            cost_known_usd=0.36,
            unknown_calls=1,
            cost_unknown_usd=0.5,
            caps_reached=(
                CapReport(cap=Scope.RUN, task="later", limit_usd=1, counted_usd=0.86, asked_usd=0.5, called=False),
                CapReport(cap=Scope.TASK, task=foreign, limit_usd=0.4, counted_usd=0.1, asked_usd=0.3, called=True),
            ),
            seconds=4000,
            estimate=EstimateReport(
                confidence=0.8,
                basis=foreign,
                cost_usd=Interval(low=0.2, high=1.5),
                cost_held=None,
                seconds=Interval(low=1200, high=3000),
                seconds_taken=3900,
                seconds_held=False,
                task_costs=Coverage(held=1, of=1),
                task_seconds=Coverage(held=1, of=2),
                run_costs=Coverage(held=1, of=1),
                run_seconds=Coverage(held=6, of=9),
            ),
            tasks=(
                TaskReport(
                    id="api",
                    title=foreign,
                    state=TaskState.SUCCEEDED,
                    reason="",
                    commit="c" * 40,
                    attempts=(attempt(1, OutcomeKind.FAILED, None), attempt(2, OutcomeKind.OK, 0.12)),
                ),
                TaskReport(
                    id="docs",
                    title="Docs",
                    state=TaskState.CONFLICTED,
                    reason=foreign,
                    commit="d" * 40,
                    attempts=(attempt(1, OutcomeKind.OK, 0.12),),
                ),
                TaskReport(
                    id="later", title="", state=TaskState.SKIPPED, reason="docs conflicted", commit=None, attempts=()
                ),
            ),
            tests=TestReport(
                command=("python", "-m", "pytest", foreign),
                exit_code=1,
                passed=11,
                failed=1,
                failures=(TestFailure(test=foreign, message=foreign),),
                base_failures=(foreign,),
            ),
            heals=(
                HealReport(
                    round=1,
                    task="api",
                    tests=(foreign,),
                    outcome=HealOutcome.HEALED,
                    commit="e" * 40,
                    cost_usd=0.12,
                    seconds=10,
                ),
            ),
            conflicts=(ConflictReport(task="docs", with_tasks=("api",), files=(foreign,)),),
            approval=ApprovalReport(what="plan", number=2, description=foreign),
            questions=(QuestionReport(task="api", question=foreign, flow_run_id="2" * 36),),
            salvage=(SalvageReport(ref="refs/graftline/1/salvage/api/1", commit="f" * 40, task="api"),),
            notes=(foreign,),
        )

    return make
