"""Paying for calls: no money is promised twice, none is lost, and the books say what the agents' own figures say."""

import asyncio
import json
import os
import shlex
from contextlib import AsyncExitStack
from decimal import Decimal
from pathlib import Path

import pytest

from graftline.agents.backend import Assignment, Session
from graftline.agents.calls import call_agent
from graftline.agents.command import CommandBackend
from graftline.agents.outcome import AgentOutcome, OutcomeKind, Usage
from graftline.agents.profiles import CommandProfile
from graftline.attempt import Ask, perform_attempt, reserve_place
from graftline.caps import Scope, Shortage
from graftline.journal import EventKind
from graftline.ledger import CostSource, NextCall, Role
from graftline.payment import Payment, paid
from graftline.process import Limits
from graftline.records import AttemptState
from graftline.run import BUDGET_REACHED, Run
from tests.pipeline import Project, Tables, task

UNKNOWN: Tables = {"agents.scripted": {"cost_usd": None}}


def call_of(run: Run, name: str, *, deployment: str = "", profile: str = "scripted") -> NextCall:
    return NextCall(
        run_id=run.id,
        role=Role.TASK,
        backend="command",
        task=name,
        attempt=1,
        profile=profile,
        deployment=deployment,
    )


async def pay(run: Run, name: str, usage: Usage | None = None, *, deployment: str = "") -> Payment | Shortage:
    """One call, from its reservation to its end, or why there was none."""
    async with paid(run, call_of(run, name, deployment=deployment), run.agent(run.plan.task(name)).backend) as payment:
        if isinstance(payment, Payment):
            payment.outcome = AgentOutcome(kind=OutcomeKind.OK, usage=usage or Usage())
    return payment


async def open_run(project: Project, cost: dict[str, object]) -> Run:
    return await project.open([task("a"), task("b")], {}, settings={**UNKNOWN, "cost": cost})


async def test_an_unknown_cost_counts_as_the_stated_estimate(offline_project: Project) -> None:
    run = await open_run(offline_project, {"max_usd": 1.0, "unknown_call_usd": 0.4})
    assert isinstance(await pay(run, "a"), Payment)
    assert isinstance(await pay(run, "b"), Payment)
    account = run.ledger.account(run.id)
    assert (account.cost_usd, account.unknown_calls, account.unknown_usd) == (None, 2, 0.8)
    short = await pay(run, "a")
    assert isinstance(short, Shortage)
    assert (short.room.cap.scope, short.asked_usd, run.stop_reason) == (Scope.RUN, 0.4, BUDGET_REACHED)
    assert len(run.ledger.account(run.id).calls) == 2


async def test_under_a_cap_of_zero_only_what_is_free_is_called(offline_project: Project) -> None:
    run = await open_run(offline_project, {"max_usd": 0.0})
    assert isinstance(await pay(run, "a"), Shortage)
    free = CommandBackend(CommandProfile(command=["agent"], cost_usd=0.0))
    async with paid(run, call_of(run, "b"), free) as payment:
        assert isinstance(payment, Payment)
    assert len(run.ledger.account(run.id).calls) == 1


async def test_a_task_that_reached_its_cap_stops_alone(offline_project: Project) -> None:
    run = await open_run(offline_project, {"task_usd": 0.5, "unknown_call_usd": 0.4})
    assert isinstance(await pay(run, "a", Usage(cost_usd=0.2)), Payment)
    short = await pay(run, "a")
    assert isinstance(short, Shortage)
    assert (short.room.cap.scope, run.stop_reason) == (Scope.TASK, "")
    assert isinstance(await pay(run, "b"), Payment)


async def test_caps_of_the_day_and_of_a_deployment_are_shared_by_runs(offline_project: Project) -> None:
    cost: dict[str, object] = {"day_usd": 1.0, "deployment_usd": 0.5, "unknown_call_usd": 0.2}
    first, second = await open_run(offline_project, cost), await open_run(offline_project, cost)
    assert isinstance(await pay(first, "a", Usage(cost_usd=0.4), deployment="nightly"), Payment)
    short = await pay(second, "a", deployment="nightly")
    assert isinstance(short, Shortage)
    assert short.room.cap.scope is Scope.DEPLOYMENT
    assert isinstance(await pay(second, "a", Usage(cost_usd=0.45)), Payment), "a script is no deployment's"
    short = await pay(first, "b", deployment="weekly")
    assert isinstance(short, Shortage)
    assert short.room.cap.scope is Scope.DAY


async def test_a_call_waits_for_what_running_ones_may_give_back_and_for_nothing_else(offline_project: Project) -> None:
    run = await open_run(offline_project, {"max_usd": 1.0, "unknown_call_usd": 0.6})
    async with AsyncExitStack() as stack:
        running = await stack.enter_async_context(paid(run, call_of(run, "a"), run.agent(run.plan.task("a")).backend))
        assert isinstance(running, Payment)
        waiting = asyncio.create_task(pay(run, "b", Usage(cost_usd=0.5)))
        await asyncio.sleep(0)  # lets it ask
        assert len(run.ledger.account(run.id).calls) == 1, "it has no room yet"
        running.outcome = AgentOutcome(kind=OutcomeKind.OK, usage=Usage(cost_usd=0.1))
    assert isinstance(await waiting, Payment)
    assert isinstance(await pay(run, "a"), Shortage), "nobody is left to wait for"
    assert run.ledger.account(run.id).cost_usd == 0.6


async def test_a_call_that_fits_under_no_circumstances_does_not_wait(offline_project: Project) -> None:
    run = await open_run(offline_project, {"max_usd": 0.5, "unknown_call_usd": 0.5})
    async with paid(run, call_of(run, "a"), run.agent(run.plan.task("a")).backend):
        run.settings = run.settings.model_copy(
            update={"cost": run.settings.cost.model_copy(update={"unknown_call_usd": 0.6})}
        )
        assert isinstance(await pay(run, "b"), Shortage)


async def test_a_call_that_is_cut_off_is_settled_as_interrupted_and_unknown(offline_project: Project) -> None:
    run = await open_run(offline_project, {"unknown_call_usd": 0.4})
    with pytest.raises(asyncio.CancelledError):
        async with paid(run, call_of(run, "a"), run.agent(run.plan.task("a")).backend):
            raise asyncio.CancelledError
    (call,) = run.ledger.account(run.id).calls
    assert (call.is_open, call.outcome, call.usage.cost_usd, call.estimated_usd) == (
        False,
        OutcomeKind.INTERRUPTED,
        None,
        0.4,
    )


async def test_it_is_said_once_that_so_much_is_spent(offline_project: Project) -> None:
    run = await open_run(offline_project, {"max_usd": 5.0, "warn_usd": 0.5})
    for cost_usd in (0.3, 0.3, 0.3):
        await pay(run, "a", Usage(cost_usd=cost_usd))
    warnings = [entry.data for entry in run.journal.entries() if entry.event is EventKind.COST_WARNING]
    assert warnings == [
        {
            "text": "$0.60 of the cap of $5.00 is spent",
            "spent_usd": 0.6,
            "unknown_calls": 0,
            "warn_usd": 0.5,
            "max_usd": 5.0,
        }
    ]


async def test_no_attempt_is_failed_for_want_of_money(offline_project: Project) -> None:
    run = await offline_project.open([task("a")], {}, settings={**UNKNOWN, "cost": {"max_usd": 0.1}})
    place = await reserve_place(run, "a", run.base)
    record = await perform_attempt(run, Ask(spec=task("a"), base=run.base, key="key", prompt="do it"), place)
    assert (record.state, record.outcome, record.cost_usd) == (AttemptState.NOT_CALLED, OutcomeKind.BUDGET, 0.0)
    assert record.detail == "the run's cap of $0.10 leaves $0.10, and the next call counts as $0.50"
    assert not record.counts, "it takes none of the task's tries"


PRICES: Tables = {'prices."gpt-5*"': {"input": 1.25, "output": 10.0, "cached": 0.125}}
FIGURES = [
    *(f"0.{number}7{number % 10}000000000{number % 3}" for number in range(10, 25)),
    "0.0000001",
    "0.9000000000000001",
    "1e-05",
    "2",
    "0.005",
]


TOTALS = [(12_345 * number**2, 9_012 * number, 678 * number) for number in range(1, 11)]
"""Tokens of a session, counted up over its ten calls: all that was read, what of it came from a cache, and written."""


def claude_says(cost_usd: str) -> str:
    """The end of a call of Claude Code, its cost written as the CLI writes it."""
    end = json.dumps({"type": "result", "subtype": "success", "is_error": False, "result": "done"})
    return f'{end[:-1]}, "total_cost_usd": {cost_usd}}}'


def codex_says(read: int, cached: int, written: int) -> str:
    """The end of a call of Codex, which tells what its whole session has used."""
    used = {"input_tokens": read, "cached_input_tokens": cached, "output_tokens": written}
    begin = {"type": "thread.started", "thread_id": "session"}
    return json.dumps(begin) + "\n" + json.dumps({"type": "turn.completed", "usage": used})


def play_agents(folder: Path) -> Path:
    """A program that plays either CLI: it prints what the file of its task says."""
    program = folder / "agent"
    lines = [
        "#!/bin/sh",
        'test "$1" = --version && echo "2.1.329 (Claude Code)" && exit',
        f'exec cat {shlex.quote(str(folder))}/"$GRAFTLINE_TASK_ID"',
    ]
    program.write_text("\n".join(lines) + "\n")
    program.chmod(0o755)
    return program


async def test_the_books_say_what_thirty_calls_say_they_cost(offline_project: Project) -> None:
    played = offline_project.signals
    program = str(play_agents(played))
    settings: Tables = {
        "agents.claude": {"type": "claude-code", "binary": program, "model": "sonnet", "api_key": "key"},
        "agents.coder": {"type": "codex", "binary": program, "model": "gpt-5.1-codex", "api_key": "key"},
        "cost": {"max_usd": 100.0},
        **PRICES,
    }
    lines = [*map(claude_says, FIGURES), *(codex_says(*totals) for totals in TOTALS)]
    tasks = [task(f"t{number}", agent="claude" if number < len(FIGURES) else "coder") for number in range(30)]
    for one, line in zip(tasks, lines, strict=True):
        (played / one.id).write_text(line + "\n")
    run = await offline_project.open(tasks, {}, settings=settings)

    session = None
    for one in tasks:
        backend = run.agent(one).backend
        assignment = Assignment(
            prompt="do it",
            worktree=played,
            folder=run.folder.attempt(one.id, 1),
            facts={"GRAFTLINE_TASK_ID": one.id},
            env={},
            environ=os.environ,
            session=session,
        )
        async with paid(run, call_of(run, one.id, profile=run.agent(one).profile), backend) as payment:
            assert isinstance(payment, Payment)
            payment.outcome = await call_agent(
                backend,
                assignment,
                limits=Limits(wall_seconds=60),
                on_progress=print,
                on_notice=print,
                on_start=lambda _: None,
            )
            assert payment.outcome.kind is OutcomeKind.OK, payment.outcome.detail
        used = payment.outcome.session_usage
        session = Session(payment.outcome.session_id, used) if used is not None else None

    account = run.ledger.account(run.id)
    reported = sum(map(Decimal, FIGURES))
    read, cached, written = TOTALS[-1]
    priced = ((read - cached) * Decimal("1.25") + written * 10 + cached * Decimal("0.125")) / 1_000_000
    assert account.cost_usd is not None
    assert abs(Decimal(account.cost_usd) - (reported + priced)) < Decimal("1e-12")
    assert f"{account.cost_usd:.2f}" == f"{reported + priced:.2f}"
    assert [call.cost_source for call in account.calls] == [CostSource.REPORTED] * 20 + [CostSource.PRICED] * 10
    assert {(call.profile, call.model) for call in account.calls} == {("claude", "sonnet"), ("coder", "gpt-5.1-codex")}
