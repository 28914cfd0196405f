"""Journal entries as sentences: the plain progress lines, `graftline status` and the logs in the Prefect UI."""

import logging
from collections.abc import Callable
from datetime import datetime

from pydantic import JsonValue

from graftline.journal import Entry, EventKind
from graftline.records import AttemptState
from graftline.report.model import CapReport
from graftline.report.wording import cap_line, duration, money
from graftline.text import plain_line

LINE_CHARACTERS = 1000

Data = dict[str, JsonValue]


def describe(entry: Entry) -> str:
    """One line that says what happened, safe to print: what agents wrote cannot move the cursor or start a new line."""
    sentence = plain_line(_SENTENCES[entry.event](entry.data), LINE_CHARACTERS)
    if entry.task is None:
        return sentence
    attempt = f" (attempt {entry.attempt})" if entry.attempt and entry.attempt > 1 else ""
    return f"{entry.task}{attempt}: {sentence}"


def log_entry(entry: Entry) -> None:
    """Log an entry; Prefect keeps the logs of these loggers with the run, where the UI shows them."""
    level = _LEVELS.get(entry.event, logging.INFO)
    logging.getLogger(__name__).log(level, "%s", describe(entry))


_LEVELS = {
    EventKind.AGENT_PROGRESS: logging.DEBUG,
    EventKind.AGENT_LOOPING: logging.WARNING,
    EventKind.QUESTION_ASKED: logging.WARNING,
    EventKind.APPROVAL_ASKED: logging.WARNING,
    EventKind.WARNING: logging.WARNING,
    EventKind.COST_WARNING: logging.WARNING,
    EventKind.CAP_REACHED: logging.WARNING,
}


def _cost(data: Data) -> str:
    cost = data.get("cost_usd")
    return money(cost) if isinstance(cost, float | int) else "cost unknown"


def _tier(data: Data) -> str:
    return f", {data['profile']} ({data['tier']})" if data.get("tier") else ""


def _seconds(data: Data) -> str:
    seconds = data.get("seconds")
    return duration(seconds) if isinstance(seconds, float | int) else ""


def _comment(data: Data) -> str:
    return f" ({data['comment']})" if data.get("comment") else ""


def _cap(data: Data) -> str:
    known = {name: data.get(name) for name in CapReport.model_fields}
    return cap_line(CapReport.model_validate(known | {"task": None}))  # `describe` names it


def _clock(value: JsonValue) -> str:
    """A time as a person's clock shows it; with its date when that is another day."""
    at = datetime.fromisoformat(str(value)).astimezone()
    return f"{at:%H:%M:%S}" if at.date() == datetime.now().astimezone().date() else f"{at:%Y-%m-%d %H:%M}"


def _names(value: JsonValue) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) and value else "nothing"


def _conflicts(data: Data) -> str:
    conflicts = data.get("conflicts")
    if not isinstance(conflicts, list) or not conflicts:
        return ""
    told = [
        f"{one['task']} with {_names(one['with'])} in {_names(one['files'])}"
        for one in conflicts
        if isinstance(one, dict)
    ]
    return f"; conflicts: {'; '.join(told)}"


def _verdict(data: Data) -> str:
    tests = data.get("tests")
    if not isinstance(tests, dict):  # nothing was to be tested, which the reason says
        return str(data["reason"])
    if data["passed"]:
        return f"tests green: {data['reason']}"
    # A command that is not pytest does not say how many.
    counts = "" if tests["passed"] is None else f"{tests['passed']} passed, {tests['failed']} failed; "
    return f"tests red: {counts}{data['reason']}"


def _argv(value: JsonValue) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else ""


_SENTENCES: dict[EventKind, Callable[[Data], str]] = {
    EventKind.RUN_PREPARED: lambda data: (
        f"run {data['name']}: {data['tasks'] or 'no'} tasks{'' if data['tasks'] else ' yet'}, from {data['target']}"
    ),
    EventKind.PLAN_NOTED: lambda data: f"note: {data['text']}",
    EventKind.PLAN_PROPOSED: lambda data: (
        f"plan {data['number']}, from the {data['by']}: {data['title']}: {_names(data['tasks'])}"
    ),
    EventKind.APPROVAL_ASKED: lambda data: (
        f"{data['what']} {data['number']} waits for a person's approval: graftline approve {data['name']}"
    ),
    EventKind.APPROVAL_GIVEN: lambda data: f"{data['what']} {data['number']}: {data['decision']}{_comment(data)}",
    EventKind.RUN_SUSPENDED: lambda data: f"suspended, no process is left: {data['reason']}",
    EventKind.PLAN_SETTLED: lambda data: f"goes by the plan: {_names(data['tasks'])}",
    EventKind.PLAN_PATCHED: lambda data: f"the plan was patched: {data['reason']}; {_names(data['changes'])}",
    EventKind.ATTEMPT_STARTED: lambda data: f"started with {data['backend']}{_tier(data)}",
    EventKind.PROCESS_STARTED: lambda data: f"{data['what']} runs as process {data['pid']}",
    EventKind.PROVIDER_WAITED_FOR: lambda data: (
        f"waits for {data['provider']} until {_clock(data['until'])}: {data['reason']}"
    ),
    EventKind.SETUP: lambda data: f"set up: {data['command']} ended with {data['status']} after {_seconds(data)}",
    EventKind.AGENT_PROGRESS: lambda data: str(data["text"]),
    EventKind.AGENT_STATUS: lambda data: f"says: {data['text']}",
    EventKind.AGENT_LOOPING: lambda data: f"goes round in circles: {data['text']}",
    EventKind.QUESTION_ASKED: lambda data: f"asks a person: {data['text']}",
    EventKind.QUESTION_ANSWERED: lambda data: f"was answered: {data['text']}",
    EventKind.ATTEMPT_ENDED: lambda data: (
        "no agent was called"
        if data.get("state") == AttemptState.NOT_CALLED
        else f"agent ended: {data['outcome']} after {_seconds(data)}, {_cost(data)}"
    ),
    EventKind.TASK_SUCCEEDED: lambda _: "done",
    EventKind.TASK_FAILED: lambda data: f"failed: {data['reason']}",
    EventKind.TASK_STOPPED: lambda data: f"stopped: {data['reason']}",
    EventKind.TASK_SKIPPED: lambda data: f"skipped: {data['reason']}",
    EventKind.MERGE_DONE: lambda data: (
        f"merged {_names(data['merged'])} into candidate {data['candidate']}{_conflicts(data)}"
    ),
    EventKind.VERIFY_STARTED: lambda data: f"testing {data['label']}: {_argv(data['command'])}",
    EventKind.VERIFY_ENDED: lambda data: f"{data['label']}: {_verdict(data)}",
    EventKind.HEAL_STARTED: lambda data: f"healing, round {data['round']}: {_names(data['tests'])}",
    EventKind.HEAL_ENDED: lambda data: (
        f"heal round {data['round']}: {data['outcome']} after {_seconds(data)}, {_cost(data)}"
    ),
    EventKind.HEAL_DROPPED: lambda data: f"round {data['round']} made more tests fail, and is dropped",
    EventKind.LANDED: lambda data: str(data["text"]),
    EventKind.LEFT_ON_BRANCH: lambda data: f"{data['text']}; take it with: {data['command']}",
    EventKind.SALVAGED: lambda data: f"unfinished work kept on {data['ref']}",
    EventKind.COST_WARNING: lambda data: f"warning: {data['text']}",
    EventKind.CAP_REACHED: lambda data: f"cap reached: {_cap(data)}",
    EventKind.WARNING: lambda data: f"warning: {data['text']}",
    EventKind.RUN_ENDED: lambda data: f"run ended: {data['reason']}",
    EventKind.RUN_CLEANED: lambda data: f"cleaned up; kept, because it is nowhere else: {_names(data['kept'])}",
}
