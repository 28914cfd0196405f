"""How long a run was carried out, by its journal: not while nobody was there, nor, where asked, while it waited."""

from collections.abc import Sequence
from itertools import pairwise

from graftline.journal import Entry, EventKind
from graftline.ledger import Call

NOBODY_WORKS_AFTER = frozenset({EventKind.APPROVAL_ASKED, EventKind.RUN_SUSPENDED, EventKind.RUN_ENDED})


def worked_seconds(entries: Sequence[Entry]) -> float:
    """How long the run was carried out: from each entry to the next, unless nobody was at work in between."""
    return sum(_seconds(before, after) for before, after in pairwise(entries) if _was_carried_out(before, after))


def awaited_seconds(entries: Sequence[Entry], calls: Sequence[Call]) -> float:
    """How much of that it waited for the answer to an agent's question, no agent being at work."""
    return sum(
        _seconds(before, after)
        for before, after in pairwise(entries)
        if before.event is EventKind.QUESTION_ASKED
        and _was_carried_out(before, after)
        and not any(call.started_at <= before.at and (call.ended_at or after.at) > before.at for call in calls)
    )


def _was_carried_out(before: Entry, after: Entry) -> bool:
    return before.event not in NOBODY_WORKS_AFTER and not after.data.get("found_dead")


def _seconds(before: Entry, after: Entry) -> float:
    return max(0.0, (after.at - before.at).total_seconds())
