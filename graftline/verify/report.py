"""What our pytest reporter said of a run, read back; it passed through untrusted hands: bounded and checked."""

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Literal

from graftline.text import excerpt, plain_text
from graftline.verify.events import (
    Collected,
    CollectorStage,
    Event,
    Finished,
    Foreign,
    InternalError,
    Moment,
    Stage,
    Started,
    TestStage,
    parse_event,
)
from graftline.verify.result import KEPT_FAILURES, MESSAGE_BYTES, SESSION, TRACE_BYTES, TestFailure

LINE_BYTES = 2_000_000
REPORT_BYTES = 256_000_000

FailureKind = Literal["failed", "error", "collection", "crash"]


@dataclass(frozen=True)
class Report:
    """What the reporter said of one run; all empty when it was not heard.

    `running` names what was being run, or collected, when the session stopped: what a dead process died in. Counts
    and `failed_tests` are complete; `failures` holds the details of the first ones. `unfinished` counts the
    collected tests that did not come to an end with an outcome.
    """

    started: bool = False
    finished: bool = False
    collected: tuple[str, ...] = ()
    passed: int = 0
    skipped_tests: tuple[str, ...] = ()
    failed_tests: tuple[str, ...] = ()
    failures: tuple[TestFailure, ...] = ()
    foreign_imports: tuple[str, ...] = ()
    running: tuple[str, ...] = ()
    unfinished: int = 0


@contextmanager
def open_report(path: Path) -> Iterator[BinaryIO]:
    """A new, empty report file for the reporter to append to, as the stream to read it from afterwards.

    The stream is of the file made here: what a test puts in its place, a link or a pipe, is never opened, and a
    report that a test deletes is still read.
    """
    path.unlink(missing_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "rb") as stream:
        yield stream


def read_report(stream: BinaryIO, *, worktree: Path) -> Report:
    """Make sense of a report; lines that are broken, too long or of no known kind are skipped, never an error."""
    reading = _Reading(worktree)
    size = 0
    while size < REPORT_BYTES and (line := stream.readline(LINE_BYTES)):
        size += len(line)
        event = parse_event(line)
        if event is not None:
            reading.take(event)
    return reading.report()


def relative_files(paths: Iterable[str], worktree: Path) -> tuple[str, ...]:
    """Those paths that lie in the worktree, relative to it, each once, at its last place."""
    root = os.path.realpath(worktree) + os.sep
    files: dict[str, None] = {}
    for path in paths:
        if path.startswith("<") or "\0" in path:
            continue  # code without a file
        # Through links of the worktree: what a task changes is the file behind one.
        real = os.path.realpath(Path(root, path))
        if real.startswith(root):
            files.pop(real[len(root) :], None)
            files[real[len(root) :]] = None
    return tuple(files)


class _Reading:
    """Takes the events of one report in their order."""

    def __init__(self, worktree: Path) -> None:
        self._worktree = worktree
        self._started = False
        self._finished = False
        self._collected: dict[str, None] = {}
        self._collecting: str | None = None
        self._running: dict[str, None] = {}
        self._ended: set[str] = set()
        self._outcomes: dict[str, str] = {}
        self._failed: dict[str, None] = {}
        self._failures: dict[str, TestFailure] = {}
        self._foreign: dict[str, None] = {}

    def take(self, event: Event) -> None:
        match event:
            case Started():
                self._started = True
            case Collected(nodeids=nodeids):
                self._collected.update(dict.fromkeys(map(plain_text, nodeids)))
                self._collecting = None
            case Moment():
                self._take_moment(event)
            case CollectorStage():
                self._fail(plain_text(event.nodeid) or SESSION, _failure(event, "collection", self._worktree))
            case TestStage():
                self._take_stage(event)
            case InternalError(longrepr=text):
                lines = plain_text(text).strip().splitlines() or [""]
                message = excerpt(f"pytest failed internally: {lines[-1]}", MESSAGE_BYTES)
                self._fail(SESSION, TestFailure(SESSION, message, excerpt(text, TRACE_BYTES), (), "crash"))
            case Foreign(imports=imports):
                self._foreign.update(dict.fromkeys(excerpt(text, MESSAGE_BYTES) for text in imports))
            case Finished():
                self._finished = True

    def report(self) -> Report:
        done = self._outcomes.keys() & self._ended
        # A worker of xdist that died leaves a failed test which never ended, in a session that goes on.
        running = [test for test in self._running if not (self._finished and test in self._failed)]
        if self._collecting is not None and not self._finished:
            running.append(self._collecting)
        return Report(
            started=self._started,
            finished=self._finished,
            collected=tuple(self._collected),
            passed=list(self._outcomes.values()).count("passed"),
            skipped_tests=tuple(test for test, outcome in self._outcomes.items() if outcome == "skipped"),
            failed_tests=tuple(self._failed),
            failures=tuple(self._failures.values()),
            foreign_imports=tuple(self._foreign),
            running=tuple(running),
            unfinished=len(self._collected.keys() - done - self._failed.keys()),
        )

    def _take_moment(self, event: Moment) -> None:
        test = plain_text(event.nodeid)
        if event.event == "collecting":
            self._collecting = test
        elif event.event == "begin":
            self._collecting = None
            self._collected[test] = None
            self._running[test] = None
        else:
            self._running.pop(test, None)
            self._ended.add(test)

    def _take_stage(self, event: TestStage) -> None:
        test = plain_text(event.nodeid)
        if event.outcome == "failed":
            self._outcomes[test] = "failed"
            self._fail(test, _failure(event, "failed" if event.when == "call" else "error", self._worktree))
        elif self._outcomes.get(test) != "failed":
            self._outcomes[test] = event.outcome

    def _fail(self, test: str, failure: TestFailure) -> None:
        """A failure is known by the first stage that failed; what failed after it is added to the trace."""
        self._failed[test] = None
        first = self._failures.get(test)
        if first is not None:
            trace = excerpt(f"{first.trace}\n\n{failure.trace}", TRACE_BYTES)
            files = (*(file for file in failure.files if file not in first.files), *first.files)
            self._failures[test] = replace(first, trace=trace, files=files)
        elif len(self._failures) < KEPT_FAILURES:
            self._failures[test] = failure


def _failure(stage: Stage, kind: FailureKind, worktree: Path) -> TestFailure:
    lines = [line for line in plain_text(stage.longrepr).splitlines() if line.strip()]
    # Without a crash (a strict xpass, a collection error), pytest's own text: its error lines, else its last one.
    errors = [line[1:].strip() for line in lines if line.startswith("E ")]
    message = stage.crash.message if stage.crash is not None else "\n".join(errors or lines[-1:])
    return TestFailure(
        test=plain_text(stage.nodeid) or SESSION,
        message=excerpt(message, MESSAGE_BYTES),
        trace=excerpt(stage.longrepr, TRACE_BYTES),
        files=relative_files((frame.path for frame in stage.traceback), worktree),
        kind=kind,
    )
