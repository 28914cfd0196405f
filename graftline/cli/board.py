"""What a person sees while a run goes on: a live table on a terminal, one plain line per event without one."""

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from time import monotonic
from typing import Protocol

from pydantic import JsonValue
from rich.console import RenderableType
from rich.live import Live
from rich.table import Table
from rich.text import Text

from graftline.cli.console import PatientConsole, stderr_console
from graftline.journal import Entry, EventKind
from graftline.report.sentences import describe

REFRESHES_PER_SECOND = 4


class Board(Protocol):
    """Shows a run while it goes on."""

    def say(self, text: str) -> None:
        """Show a sentence, or several lines, once."""
        ...

    def show(self, entry: Entry) -> None:
        """Show that something happened in the run."""
        ...

    def held(self) -> AbstractContextManager[None]:
        """Leave the terminal to whoever asks a person something inside."""
        ...


@contextmanager
def open_board(*, quiet: bool) -> Iterator[Board]:
    """The board that fits where stderr goes; plain lines when it is to be quiet."""
    console = stderr_console()
    if quiet or not console.is_terminal:
        yield Lines(console)
        return
    table = LiveTable(console)
    try:
        yield table
    finally:
        table.close()


LASTING = frozenset(
    {
        EventKind.WARNING,
        EventKind.COST_WARNING,
        EventKind.VERIFY_ENDED,
        EventKind.MERGE_DONE,
        EventKind.HEAL_DROPPED,
        EventKind.AGENT_LOOPING,
        EventKind.QUESTION_ASKED,
        EventKind.APPROVAL_ASKED,
        EventKind.APPROVAL_GIVEN,
        EventKind.PLAN_PATCHED,
    }
)
"""What stays above a live table, which shows only how things stand."""
CHATTER = frozenset({EventKind.AGENT_PROGRESS, EventKind.PROCESS_STARTED, EventKind.PLAN_NOTED})
"""What one line per event leaves out: it is in the agent's log and in the journal, or was said before the run began."""


class Lines:
    """One line per event."""

    def __init__(self, console: PatientConsole) -> None:
        self._console = console

    def say(self, text: str) -> None:
        """Print it."""
        self._console.say(text)

    def show(self, entry: Entry) -> None:
        """Print what happened, with the time of day."""
        if entry.event not in CHATTER:
            self.say(f"{entry.at.astimezone():%H:%M:%S} {describe(entry)}")

    def held(self) -> AbstractContextManager[None]:
        """Nothing has to stop for it: a line is only printed when something happens."""
        return nullcontext()


@dataclass
class _Row:
    state: str = "waiting"
    detail: str = ""
    since: float | None = None
    seconds: float | None = None
    has_status: bool = False


class LiveTable:
    """One row per task, and below it what the run as a whole is doing; there is none before the run has a plan."""

    def __init__(self, console: PatientConsole) -> None:
        self._console = console
        self._rows: dict[str, _Row] = {}
        self._after: dict[str, str] = {}
        self._doing = ""
        self._live = Live(
            console=console,
            get_renderable=self.render,
            refresh_per_second=REFRESHES_PER_SECOND,
            transient=True,  # the report says the same, and more
            redirect_stdout=False,
        )

    def close(self) -> None:
        """Take the table away for good."""
        self._live.stop()

    @contextmanager
    def held(self) -> Iterator[None]:
        """Take the table away, which would be drawn over what is asked, until that is done."""
        self._live.stop()
        try:
            yield
        finally:
            self._draw()

    def _draw(self) -> None:
        if self._rows:
            self._live.start()

    def _take_plan(self, waits: Mapping[str, JsonValue]) -> None:
        """Have a row for each task of a plan, which may be another one than before."""
        self._after = {task: ", ".join(map(str, before)) for task, before in waits.items() if isinstance(before, list)}
        self._rows = {task: self._rows.get(task, _Row()) for task in self._after}
        self._draw()

    def say(self, text: str) -> None:
        """Print it above the table."""
        self._console.say(text)

    def show(self, entry: Entry) -> None:
        """Update the row of the entry's task, or what the run is doing."""
        said = describe(entry)
        if entry.event in LASTING:
            self.say(said)
        if isinstance(waits := entry.data.get("waits"), dict):
            self._take_plan(waits)
        row = self._rows.get(entry.task or "")
        if row is None:
            self._doing = said
            return
        row.state = _STATES.get(entry.event, row.state)
        if entry.event in {EventKind.ATTEMPT_STARTED, EventKind.HEAL_STARTED}:
            row.since, row.seconds, row.has_status = monotonic(), None, False
        if entry.event in {EventKind.ATTEMPT_ENDED, EventKind.HEAL_ENDED} and row.since is not None:
            row.seconds = monotonic() - row.since
        row.has_status = row.has_status or entry.event is EventKind.AGENT_STATUS
        # What an agent says of its work itself is worth more than what it does from moment to moment.
        if entry.event is not EventKind.PROCESS_STARTED and not (
            row.has_status and entry.event is EventKind.AGENT_PROGRESS
        ):
            row.detail = said.removeprefix(f"{entry.task}: ")

    def render(self) -> RenderableType:
        """The table as it stands now."""
        doing = Text(self._doing, overflow="ellipsis", no_wrap=True)
        table = Table(box=None, pad_edge=False, expand=True, caption=doing, caption_justify="left")
        for heading in ("task", "state", "time", "after"):
            table.add_column(heading, no_wrap=True, overflow="ellipsis")
        table.add_column("what", ratio=1, no_wrap=True, overflow="ellipsis")  # takes what the others leave
        for task_id, row in self._rows.items():
            seconds = row.seconds if row.seconds is not None or row.since is None else monotonic() - row.since
            table.add_row(
                Text(task_id),
                Text(row.state, style=_STYLES.get(row.state, "")),
                Text("" if seconds is None else f"{seconds:.0f} s"),
                Text(self._after[task_id]),
                Text(row.detail),
            )
        return table


_STATES = {
    EventKind.ATTEMPT_STARTED: "running",
    EventKind.PROVIDER_WAITED_FOR: "waiting",
    EventKind.HEAL_STARTED: "healing",
    EventKind.HEAL_ENDED: "done",
    EventKind.QUESTION_ASKED: "asking",
    EventKind.TASK_SUCCEEDED: "done",
    EventKind.TASK_FAILED: "failed",
    EventKind.TASK_STOPPED: "stopped",
    EventKind.TASK_SKIPPED: "skipped",
}
_STYLES = {
    "running": "cyan",
    "healing": "magenta",
    "asking": "bold yellow",
    "done": "green",
    "failed": "red",
    "stopped": "yellow",
    "skipped": "yellow",
}
