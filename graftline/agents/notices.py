"""What a person should know of an agent while it works: what it says of its work, and that it goes round in circles."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from graftline.agents.backend import Progress
from graftline.agents.last_message import asked_question, told_status
from graftline.text import plain_line

IN_A_ROW = 3
MOST_STATUSES = 100
TEXT_CHARS = 200
# Enough to tell two of them apart; an error may be as long as a tool's whole output.
COMPARED_CHARS = 4_000


class NoticeKind(StrEnum):
    """What a notice is about."""

    STATUS = "status"
    LOOPING = "looping"


@dataclass(frozen=True)
class Notice:
    """Something to tell a person, in one line."""

    kind: NoticeKind
    text: str


class ProgressWatch:
    """Finds in one call's progress what is worth a notice.

    That an agent loops is told once, and what it says of its work when it changes, up to a bound.
    """

    def __init__(self) -> None:
        self._command = _Row()
        self._error = _Row()
        self._is_looping = False
        self._status = ""
        self._statuses = 0

    def see(self, progress: Progress) -> Iterator[Notice]:
        """The notices that this piece of progress gives rise to."""
        status = told_status(progress.said)
        if (question := asked_question(progress.said)) is not None:
            status = f"stuck: {question}"
        if status and status != self._status and self._statuses < MOST_STATUSES:
            self._status = status
            self._statuses += 1
            yield Notice(NoticeKind.STATUS, plain_line(status, TEXT_CHARS))
        loop = ""
        if self._command.is_full_with(progress.command):
            loop = f"the same command {IN_A_ROW} times in a row: {progress.command}"
        if self._error.is_full_with(progress.error):
            # Not which: what a tool printed may hold a secret.
            loop = f"the same error {IN_A_ROW} times in a row"
        if loop and not self._is_looping:
            self._is_looping = True
            yield Notice(NoticeKind.LOOPING, plain_line(loop, TEXT_CHARS))


class _Row:
    """How often the same text has come in a row."""

    def __init__(self) -> None:
        self._text = ""
        self._times = 0

    def is_full_with(self, text: str) -> bool:
        """Whether this one makes the row long enough; an empty one is none."""
        text = text[:COMPARED_CHARS]
        if not text:
            return False
        self._times = self._times + 1 if text == self._text else 1
        self._text = text
        return self._times >= IN_A_ROW
