"""The end of a run: what it came to, in one state and one sentence, and the report that says so."""

from graftline.errors import GraftlineError
from graftline.journal import EventKind
from graftline.records import task_records
from graftline.report.assemble import History, assemble_report, read_history, task_state
from graftline.report.files import save_report
from graftline.report.model import Report, RunState, TaskState
from graftline.report.wording import cap_line
from graftline.run import BUDGET_REACHED, CANCELLED, REJECTED, Run

DONE = frozenset({TaskState.SUCCEEDED, TaskState.NO_CHANGE})


def close(run: Run, ending: BaseException | None) -> Report:
    """Write a run's end into its journal, and its report, whatever ended it.

    `ending` is the exception that ended the run's steps, if one did.
    """
    return _write_end(run, *conclude(run, read_history(run.journal.entries()), ending))


def close_dead(run: Run, pid: int) -> Report:
    """The same for a run whose process died, in its place."""
    history = read_history(run.journal.entries())
    if has_landed(history):
        return _write_end(run, *conclude(run, history, None))
    reason = f"its process {pid} was killed or died; {where(run, history)}; what was finished is kept"
    return _write_end(run, RunState.CRASHED, reason)


def _write_end(run: Run, state: RunState, reason: str) -> Report:
    run.journal.append(EventKind.RUN_ENDED, state=state, reason=reason)
    report = assemble_report(
        run.pinned, run.folder, run.journal.entries(), run.ledger.account(run.id), state=state, reason=reason
    )
    save_report(report, run.folder)
    return report


def conclude(run: Run, history: History, ending: BaseException | None) -> tuple[RunState, str]:
    """What a run came to, and a sentence a person can act on."""
    place = where(run, history)
    if run.stop_reason.startswith((CANCELLED, REJECTED)) and not has_landed(history):
        return RunState.CANCELLED, f"{run.stop_reason}; {place}; what was finished is kept"
    match cause_of(ending):
        case None:
            pass
        case GraftlineError() as error:
            return RunState.CRASHED, str(error)
        case Exception() as error:
            return RunState.CRASHED, f"a defect in graftline ended the run: {error!r}"
        case _ if not has_landed(history):  # what comes after the landing comes too late
            return RunState.CANCELLED, f"ended by a signal; {place}; what was finished is kept"
        case _:
            pass
    undone = unfinished(run, history)
    missing = f"{', '.join(undone)} did not make it" if undone else ""
    if run.stop_reason not in {"", CANCELLED, BUDGET_REACHED}:
        return RunState.FAILED, "; ".join(filter(None, [run.stop_reason, missing, place]))
    verification = history.verification
    is_red = verification is not None and not verification.data["passed"]
    if history.caps_reached and (undone or is_red or run.settled is None):
        caps = [cap_line(reached) for reached in history.caps_reached.values()]
        red = f"tests are red: {verification.data['reason']}" if verification is not None and is_red else ""
        return RunState.BUDGET_REACHED, "; ".join(filter(None, [f"{BUDGET_REACHED}: {caps[0]}", missing, red, place]))
    if verification is not None and is_red:
        return (
            RunState.TESTS_FAILED,
            f"tests are red and were not healed: {verification.data['reason']}; nothing landed; look at the work with: "
            f"graftline diff {run.pinned.name}",
        )
    if history.landing is None:
        if undone:
            return RunState.FAILED, f"{missing}; there is nothing to land"
        return RunState.NOTHING_TO_LAND, "all tasks are done and none had to change anything"
    if undone:
        return RunState.PARTIAL, f"{missing}; {place}"
    if has_landed(history):
        return RunState.LANDED, place
    return (RunState.ON_BRANCH if run.settings.git.land == "branch" else RunState.HELD), place


def cause_of(ending: BaseException | None) -> BaseException | None:
    """What ended a run, out of the groups that task groups wrap it in."""
    while isinstance(ending, BaseExceptionGroup):
        ending = ending.exceptions[0]
    return ending


def has_landed(history: History) -> bool:
    """Whether the target was moved to the run's result."""
    return history.landing is not None and history.landing.event is EventKind.LANDED


def where(run: Run, history: History) -> str:
    """Where the result is, what its tests said, and how to take it when it did not land."""
    landing = history.landing
    if landing is None:
        return "nothing landed"
    tested = f" ({history.verification.data['reason']})" if history.verification else ""
    command = landing.data["command"]
    if landing.event is EventKind.LANDED:
        return f"{run.pinned.target} is now at {str(landing.data['commit'])[:12]}{tested}"
    if unfinished(run, history):
        return f"what is finished waits on branch {landing.data['branch']}{tested}; take it with: {command}"
    return f"{landing.data['text']}{tested}; take it with: {command}"


def unfinished(run: Run, history: History) -> tuple[str, ...]:
    """The tasks whose work is not in the result although it should be."""
    states = {
        spec.id: task_state(spec.id, task_records(run.folder, spec.id), history, is_over=True)[0]
        for spec in (run.plan.tasks if run.settled is not None else ())
    }
    return tuple(task for task, state in states.items() if state not in DONE)


def is_complete(run: Run) -> bool:
    """Whether every task's work is in the result, or had nothing to change."""
    return not unfinished(run, read_history(run.journal.entries()))
