"""How long a run was carried out, by its journal: not while nobody was there, nor, where asked, while it waited."""

from collections.abc import Sequence
from itertools import pairwise

from graftline.journal import Entry, EventKind
from graftline.ledger import Call

WAITS_FOR_A_PERSON = frozenset({EventKind.QUESTION_ASKED, EventKind.APPROVAL_ASKED, EventKind.RUN_SUSPENDED})


def worked_seconds(entries: Sequence[Entry]) -> float:
    """How long the run was carried out: from each entry to the next, unless nobody was there in between."""
    return sum(_seconds(before, after) for before, after in pairwise(entries) if _was_carried_out(before, after))


def awaited_seconds(entries: Sequence[Entry], calls: Sequence[Call]) -> float:
    """How much of that it waited for a person, no agent being at work."""
    return sum(
        _seconds(before, after)
        for before, after in pairwise(entries)
        if before.event in WAITS_FOR_A_PERSON
        and _was_carried_out(before, after)
        and not any(call.started_at <= before.at and (call.ended_at or after.at) > before.at for call in calls)
    )


def _was_carried_out(before: Entry, after: Entry) -> bool:
    return before.event is not EventKind.RUN_ENDED and not after.data.get("found_dead")


def _seconds(before: Entry, after: Entry) -> float:
    return max(0.0, (after.at - before.at).total_seconds())
