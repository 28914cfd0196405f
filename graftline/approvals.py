"""What waits for a person's approval and what persons decided: found again in a run's journal, whoever looks."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue

from graftline.errors import Problem
from graftline.journal import Entry, EventKind, Journal
from graftline.manifest import Spelling, parse_manifest
from graftline.plan import Plan

What = Literal["plan", "patch"]
Kind = Literal["approve", "reject"]
COMMENT_CHARS = 10_000
PLAN_CHARS = 1_000_000

CheckEdited = Callable[[Plan], Sequence[Problem]]
"""What is wrong with an edited plan beyond what is wrong with any plan."""

_attended: ContextVar[bool] = ContextVar("_attended", default=False)


@dataclass(frozen=True)
class PendingApproval:
    """What a person is asked to decide.

    `form` is where the Prefect server keeps the form and what was filled in, one for each time somebody is asked.
    """

    what: What
    number: int
    form: str
    text: str
    plan: Plan

    def __str__(self) -> str:
        return f"{self.what} {self.number}"


@dataclass(frozen=True)
class Decision:
    """What a person decided; `plan` is the one to go by, where that was edited.

    A rejection with a comment says what is to be made otherwise. One without ends the run, or leaves its plan as it is.
    """

    kind: Kind
    comment: str = ""
    plan: Plan | None = None


def pending_approval(entries: Sequence[Entry]) -> PendingApproval | None:
    """What of a run waits for a person's decision now; None once somebody decided, or nobody waits any more."""
    for entry in reversed(entries):
        match entry.event:
            case EventKind.APPROVAL_ASKED:
                return _pending(entry)
            case EventKind.APPROVAL_GIVEN | EventKind.RUN_PREPARED | EventKind.RUN_ENDED:
                return None
            case _:
                pass
    return None


def unread_form(entries: Sequence[Entry], what: What, number: int) -> str | None:
    """The form in which a person may have decided about one thing without the run having read it yet."""
    about = (
        entry
        for entry in reversed(entries)
        if entry.event in {EventKind.APPROVAL_ASKED, EventKind.APPROVAL_GIVEN} and _is_about(entry, what, number)
    )
    last = next(about, None)
    return str(last.data["form"]) if last is not None and last.event is EventKind.APPROVAL_ASKED else None


def decision_on(entries: Sequence[Entry], what: What, number: int) -> Decision | None:
    """What a person decided about one thing, also before the run was entered again.

    To reject a plan without a comment ended the run: one that goes on all the same asks anew.
    """
    for entry in reversed(entries):
        if entry.event is EventKind.APPROVAL_GIVEN and _is_about(entry, what, number):
            kind: Kind = "approve" if entry.data["decision"] == "approve" else "reject"
            edited = entry.data["plan"]
            plan = None if edited is None else Plan.model_validate(edited)
            decided = Decision(kind, str(entry.data["comment"]), plan)
            return None if what == "plan" and decided == Decision("reject") else decided
    return None


def count_asked(entries: Sequence[Entry]) -> int:
    """How often anybody was asked for an approval in a run."""
    return sum(entry.event is EventKind.APPROVAL_ASKED for entry in entries)


def record_asked(journal: Journal, pending: PendingApproval, run_name: str) -> None:
    """Write down that a person is asked."""
    journal.append(
        EventKind.APPROVAL_ASKED,
        what=pending.what,
        number=pending.number,
        name=run_name,
        form=pending.form,
        text=pending.text,
        plan=_plain(pending.plan),
    )


def record_decision(journal: Journal, what: What, number: int, decision: Decision) -> None:
    """Write down what a person decided."""
    journal.append(
        EventKind.APPROVAL_GIVEN,
        what=what,
        number=number,
        decision=decision.kind,
        comment=decision.comment,
        plan=None if decision.plan is None else _plain(decision.plan),
    )


def parse_edited(text: str) -> Plan:
    """The plan a person wrote into a form, which says nowhere how it is spelt.

    Raises:
        ManifestError: names every problem of it.
    """
    return parse_manifest(text.lstrip(), file="plan", spelling=_spelling_of(text.lstrip())).plan


@contextmanager
def attended() -> Iterator[None]:
    """A person's own command carries out what runs inside: it stays while the run waits, also a deployment's."""
    token = _attended.set(True)
    try:
        yield
    finally:
        _attended.reset(token)


def is_attended() -> bool:
    """Whether a person's own command carries out the run."""
    return _attended.get()


def _plain(plan: Plan) -> JsonValue:
    return plan.model_dump(mode="json", exclude_defaults=True)


def _spelling_of(text: str) -> Spelling:
    if text.startswith("{"):
        return "json"
    first, *others = map(str.rstrip, text.splitlines() or [""])
    return "markdown" if first == "---" and "---" in others else "yaml"


def _pending(entry: Entry) -> PendingApproval:
    data = entry.data
    what: What = "patch" if data["what"] == "patch" else "plan"
    plan = Plan.model_validate(data["plan"])
    return PendingApproval(what, int(str(data["number"])), str(data["form"]), str(data["text"]), plan)


def _is_about(entry: Entry, what: What, number: int) -> bool:
    return (entry.data["what"], entry.data["number"]) == (what, number)
