"""Makes the report of a run from its own records: what was pinned, the journal, the attempts' records and the ledger.

Prefect's rows play no part in it: they lag, may be lost, and double on a retry.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from pydantic import JsonValue

from graftline.approvals import pending_approval
from graftline.caps import Scope
from graftline.journal import Entry, EventKind
from graftline.ledger import Account
from graftline.pinned import PinnedRun
from graftline.plan import TaskSpec
from graftline.planning.forecast import score_forecast
from graftline.questions import open_questions
from graftline.records import AttemptRecord, AttemptState, heal_records, task_records
from graftline.report.expectation import estimate_report
from graftline.report.model import (
    UNENDED,
    ApprovalReport,
    AttemptReport,
    CapReport,
    ConflictReport,
    HealOutcome,
    HealReport,
    QuestionReport,
    Report,
    RunState,
    SalvageReport,
    TaskReport,
    TaskState,
    TestReport,
)
from graftline.report.sentences import describe
from graftline.report.time_taken import worked_seconds
from graftline.run import NOT_STARTED
from graftline.store import RunFolder


@dataclass
class History:
    """What the journal tells, the last word on each matter.

    A run that is entered again merges, tests and lands anew: of that, only what the last entry did counts.
    """

    task_ends: dict[str, Entry] = field(default_factory=dict)
    removed: dict[str, str] = field(default_factory=dict)
    started: set[str] = field(default_factory=set)
    integration: Entry | None = None
    verifications: list[Entry] = field(default_factory=list)
    heals: list[Entry] = field(default_factory=list)
    heal_conflicts: set[tuple[int, str]] = field(default_factory=set)
    dropped_rounds: set[int] = field(default_factory=set)
    landing: Entry | None = None
    landed_before: Entry | None = None
    salvage: dict[str, Entry] = field(default_factory=dict)
    statuses: dict[str, str] = field(default_factory=dict)
    warnings: list[str] = field(default_factory=list)
    caps_reached: dict[tuple[str, ...], CapReport] = field(default_factory=dict)
    suspended: Entry | None = None
    ended: Entry | None = None

    @property
    def landed(self) -> Entry | None:
        """The last landing that moved the target, whichever entry into the run it was of."""
        return self.landing if self.landing and self.landing.event is EventKind.LANDED else self.landed_before

    @property
    def verification(self) -> Entry | None:
        """The last verification of what is the run's result: of the commit that landed or waits, if there is one."""
        kept = [one for one in self.verifications if one.data.get("round") not in self.dropped_rounds]
        if self.landing is not None:
            kept = [one for one in kept if one.data["commit"] == self.landing.data["commit"]] or kept
        return kept[-1] if kept else None

    @property
    def conflicts(self) -> tuple[ConflictReport, ...]:
        """The tasks that the last integration left out because they collide."""
        found = self.integration.data.get("conflicts") if self.integration else []
        return tuple(ConflictReport.model_validate(one) for one in _items(found))


def read_history(entries: Sequence[Entry]) -> History:
    """Sort a run's journal into what happened to what."""
    history = History()
    for entry in entries:
        match entry.event:
            case EventKind.RUN_PREPARED:
                _enter_again(history)
            case EventKind.ATTEMPT_STARTED:
                history.started.add(entry.task or "")
                history.task_ends.pop(entry.task or "", None) if entry.data.get("round") == 0 else None
                history.statuses.pop(entry.task or "", None)
            case EventKind.TASK_SUCCEEDED | EventKind.TASK_FAILED | EventKind.TASK_STOPPED | EventKind.TASK_SKIPPED:
                history.task_ends[entry.task or ""] = entry
            case EventKind.PLAN_PATCHED:
                _patch(history, entry)
            case EventKind.MERGE_DONE:
                _merge(history, entry)
            case EventKind.VERIFY_ENDED:
                history.verifications.append(entry)
            case EventKind.HEAL_ENDED:
                history.heals = [one for one in history.heals if _heal_of(one) != _heal_of(entry)]
                history.heals.append(entry)
            case EventKind.HEAL_DROPPED:
                history.dropped_rounds.add(_int(entry.data["round"]))
            case EventKind.LANDED | EventKind.LEFT_ON_BRANCH:
                history.landing = entry
            case EventKind.SALVAGED:
                history.salvage[str(entry.data["ref"])] = entry
            case EventKind.CAP_REACHED:
                _reach_cap(history, entry)
            case EventKind.RUN_SUSPENDED:
                history.suspended = entry
            case EventKind.RUN_ENDED:
                history.ended = entry
            case _:
                _hear(history, entry)
    return history


def _patch(history: History, entry: Entry) -> None:
    """Note why tasks are not in the plan any more; what was skipped may have its turn now."""
    removed = entry.data["removed"]
    history.removed |= {task: str(why) for task, why in removed.items()} if isinstance(removed, dict) else {}
    for task, end in list(history.task_ends.items()):
        if end.event is EventKind.TASK_SKIPPED:
            del history.task_ends[task]


def _merge(history: History, entry: Entry) -> None:
    if entry.data["of"] == "tasks":
        history.integration = entry
        return
    for one in _items(entry.data["conflicts"]):
        history.heal_conflicts.add((_int(entry.data["round"]), str(one["task"])))


def _reach_cap(history: History, entry: Entry) -> None:
    """Note a cap: once per task whose agent ran into it, else the last call there was no room for."""
    reached = CapReport.model_validate({**entry.data, "task": entry.task})
    is_tasks_own = reached.called or reached.cap is Scope.TASK
    history.caps_reached[reached.cap, reached.task or "" if is_tasks_own else ""] = reached


def _hear(history: History, entry: Entry) -> None:
    """Take in what was said for people."""
    match entry.event:
        case EventKind.WARNING | EventKind.COST_WARNING:
            history.warnings.append(str(entry.data["text"]))
        case EventKind.AGENT_LOOPING:
            history.warnings.append(describe(entry))
        case EventKind.AGENT_STATUS:
            history.statuses[entry.task or ""] = str(entry.data["text"])
        case _:
            pass


def _enter_again(history: History) -> None:
    """Forget what the next entry into the run does anew."""
    history.landed_before = history.landed
    history.landing = history.integration = history.suspended = history.ended = None
    history.verifications.clear()
    history.heal_conflicts.clear()
    history.dropped_rounds.clear()
    history.caps_reached.clear()
    for task, end in list(history.task_ends.items()):
        if end.event is not EventKind.TASK_SUCCEEDED:
            del history.task_ends[task]
            history.started.discard(task)


def assemble_report(
    pinned: PinnedRun,
    folder: RunFolder,
    entries: Sequence[Entry],
    account: Account,
    *,
    state: RunState | None = None,
    reason: str = "",
) -> Report:
    """The report of a run as its records stand; `state` and `reason` are the run's own word when it ends now."""
    history = read_history(entries)
    if state is None:
        state, reason = last_word(history)
    tasks = tuple(task_report(spec, folder, history, is_over=state not in UNENDED) for spec in pinned.tasks)
    verification = history.verification
    tests = verification.data.get("tests") if verification else None
    gone_on_from = {ref for spec in pinned.tasks for ref in superseded(task_records(folder, spec.id))}
    landing = history.landing
    landed = history.landed
    is_running = state is RunState.RUNNING and bool(entries)
    pending = pending_approval(entries)
    running_seconds = (datetime.now(UTC) - entries[-1].at).total_seconds() if is_running else 0.0
    return Report(
        run=pinned.name,
        flow_run_id=pinned.id,
        state=state,
        reason=reason,
        target=pinned.target,
        base_commit=pinned.base,
        landed_commit=str(landed.data["commit"]) if landed else None,
        branch=_text(landing.data.get("branch")) if landing else None,
        tested_tree=_text(verification.data["tree"]) if verification and tests else None,
        cost_usd=account.cost_usd,
        cost_known_usd=account.known_usd,
        unknown_calls=account.unknown_calls,
        cost_unknown_usd=account.unknown_usd,
        caps_reached=tuple(history.caps_reached.values()),
        seconds=worked_seconds(entries) + max(0.0, running_seconds),
        estimate=estimate_report(pinned, folder, entries, account, state),
        tasks=tasks,
        tests=TestReport.model_validate(tests) if tests else None,
        heals=tuple(heal_report(entry, history) for entry in history.heals),
        conflicts=history.conflicts,
        questions=tuple(
            QuestionReport(task=one.task, question=one.text, flow_run_id=one.flow_run)
            for one in open_questions(entries)
        ),
        approval=pending and ApprovalReport(what=pending.what, number=pending.number, description=pending.text),
        salvage=tuple(
            SalvageReport(ref=ref, commit=str(entry.data["commit"]), task=entry.task or "")
            for ref, entry in history.salvage.items()
            if ref not in gone_on_from
        ),
        notes=(
            *(str(score) for score in [score_forecast(entries)] if score),
            *pinned.notes,
            *dict.fromkeys(history.warnings),
            *record_notes(pinned, folder),
        ),
    )


def superseded(records: Sequence[AttemptRecord]) -> set[str]:
    """The refs of a task's unfinished work that another attempt went on from and finished."""
    finished = {record.continues for record in records if record.is_done and record.continues is not None}
    return {
        record.salvage
        for record in records
        if record.salvage is not None and (record.continues or record.number) in finished
    }


def last_word(history: History) -> tuple[RunState, str]:
    """State and reason as the journal ends; a run without an end may still be running, or its process is gone."""
    if history.ended is None and history.suspended is not None:
        return RunState.SUSPENDED, str(history.suspended.data["reason"])
    if history.ended is None:
        return RunState.RUNNING, "the run has not ended"
    return RunState(str(history.ended.data["state"])), str(history.ended.data["reason"])


def task_report(spec: TaskSpec, folder: RunFolder, history: History, *, is_over: bool) -> TaskReport:
    """What became of one task."""
    records = task_records(folder, spec.id)
    state, reason = task_state(spec.id, records, history, is_over=is_over)
    done = [record for record in records if record.is_done]
    return TaskReport(
        id=spec.id,
        title=spec.title or spec.id,
        state=state,
        reason=reason,
        commit=done[-1].commit if done else None,
        attempts=tuple(
            AttemptReport(
                number=record.number,
                profile=record.profile,
                tier=record.tier,
                backend=record.backend,
                version=record.version,
                model=record.model,
                outcome=record.outcome,
                detail=record.detail,
                cost_usd=record.cost_usd,
                seconds=record.seconds,
            )
            for record in records
        ),
    )


def task_state(
    task: str, records: Sequence[AttemptRecord], history: History, *, is_over: bool
) -> tuple[TaskState, str]:
    """A task's state and why it is so."""
    if task in history.removed:
        return TaskState.CANCELLED, history.removed[task]
    for conflict in history.conflicts:
        if conflict.task == task:
            others = " and ".join(conflict.with_tasks) or "the target"
            return TaskState.CONFLICTED, f"collides with {others} in {', '.join(conflict.files)}"
    if history.integration and task in _names(history.integration.data.get("skipped")):
        return TaskState.SKIPPED, "it depends on a task whose work collides"
    end = history.task_ends.get(task)
    if end is None:
        if task not in history.started:
            return TaskState.NOT_RUN, "the run ended before its turn" if is_over else "waiting"
        return (
            (TaskState.CANCELLED, "stopped before it finished")
            if is_over
            else (TaskState.RUNNING, history.statuses.get(task, ""))
        )
    reason = str(end.data.get("reason", ""))
    if end.event is EventKind.TASK_FAILED:
        return TaskState.FAILED, reason
    if end.event is EventKind.TASK_STOPPED:
        was_called = any(record.state is not AttemptState.NOT_CALLED for record in records)
        return (TaskState.CANCELLED if was_called else TaskState.NOT_RUN), reason
    if end.event is EventKind.TASK_SKIPPED:
        return (TaskState.NOT_RUN if reason.startswith(NOT_STARTED) else TaskState.SKIPPED), reason
    done = next((record for record in reversed(records) if record.is_done), None)
    if done is not None and done.state is AttemptState.NO_CHANGE:
        return TaskState.NO_CHANGE, done.detail
    return TaskState.SUCCEEDED, ""


def heal_report(entry: Entry, history: History) -> HealReport:
    """What one heal call brought."""
    number, task = _int(entry.data["round"]), entry.task or ""
    tests = _names(entry.data["tests"])
    verified = next((one for one in reversed(history.verifications) if one.data.get("round") == number), None)
    still_red = {str(one["test"]) for one in _items(_section(verified, "failures"))}
    if entry.data["commit"] is None:
        outcome = HealOutcome.FAILED
    elif (number, task) in history.heal_conflicts:
        outcome = HealOutcome.CONFLICTED
    elif number in history.dropped_rounds:
        outcome = HealOutcome.DROPPED
    elif verified is None or still_red & set(tests):
        outcome = HealOutcome.NOT_HEALED
    else:
        outcome = HealOutcome.HEALED
    cost = entry.data.get("cost_usd")
    return HealReport(
        round=number,
        task=task,
        tests=tests,
        outcome=outcome,
        commit=_text(entry.data["commit"]),
        cost_usd=cost if isinstance(cost, int | float) else None,
        seconds=float(str(entry.data["seconds"])),
    )


def record_notes(pinned: PinnedRun, folder: RunFolder) -> tuple[str, ...]:
    """What was seen of the attempts' work that a person should know."""
    return tuple(
        f"{record.task} (attempt {record.number}): {note}"
        for spec in pinned.tasks
        for record in (*task_records(folder, spec.id), *heal_records(folder, spec.id))
        for note in record.notes
    )


def _heal_of(entry: Entry) -> tuple[int, str | None]:
    return (_int(entry.data["round"]), entry.task)


def _section(verified: Entry | None, key: str) -> JsonValue:
    tests = verified.data.get("tests") if verified else None
    return tests.get(key) if isinstance(tests, dict) else None


def _items(value: JsonValue) -> list[dict[str, JsonValue]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def _names(value: JsonValue) -> tuple[str, ...]:
    return tuple(map(str, value)) if isinstance(value, list) else ()


def _text(value: JsonValue) -> str | None:
    return value if isinstance(value, str) else None


def _int(value: JsonValue) -> int:
    return value if isinstance(value, int) else 0
