"""The lines our pytest reporter writes, as models: one per event, and nothing else is let in."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError


class _Line(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Frame(_Line):
    """One place in a traceback; the path is as the interpreter knew it."""

    path: str
    lineno: int | None


class Crash(Frame):
    """Where an exception came out, and its text."""

    message: str


class Stage(_Line):
    """How one stage of a test, or the collection of one file or folder, ended."""

    nodeid: str
    outcome: Literal["passed", "failed", "skipped"]
    crash: Crash | None = None
    traceback: tuple[Frame, ...] = ()
    longrepr: str = ""


class Started(_Line):
    """The reporter runs."""

    event: Literal["start"]
    python: str
    pytest: str


class Collected(_Line):
    """Some of the tests that will run."""

    event: Literal["collected"]
    nodeids: tuple[str, ...]


class Moment(_Line):
    """A file is about to be collected, or a test begins or ends."""

    event: Literal["collecting", "begin", "end"]
    nodeid: str


class CollectorStage(Stage):
    """A file or folder could not be collected."""

    event: Literal["collector"]


class TestStage(Stage):
    """A stage of a test ended."""

    __test__ = False

    event: Literal["test"]
    when: Literal["setup", "call", "teardown"]


class InternalError(_Line):
    """Pytest itself, or a plugin, failed."""

    event: Literal["internal-error"]
    longrepr: str


class Foreign(_Line):
    """Packages of the worktree that were imported from elsewhere."""

    event: Literal["foreign"]
    imports: tuple[str, ...]


class Finished(_Line):
    """The session came to its end."""

    event: Literal["finish"]


Event = Started | Collected | Moment | CollectorStage | TestStage | InternalError | Foreign | Finished
_EVENT: TypeAdapter[Event] = TypeAdapter(Annotated[Event, Field(discriminator="event")])


def parse_event(line: bytes) -> Event | None:
    """The event of one line, or None for a line that is broken or of no known kind."""
    try:
        return _EVENT.validate_json(line)
    except ValidationError:
        return None
