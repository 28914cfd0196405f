"""A pytest plugin that streams what happens, one JSON object per line, to the file its environment names.

It is copied beside a test run and loaded there with `-p`, inside the project's own interpreter: so it imports nothing
but the standard library and pytest, and runs on Python 3.8 and pytest 7 and up. Every line is written the moment
it is known: when the process dies, a test that began and did not end is the one it died in. A failing stage has the
shape of pytest-json-report (outcome, crash, traceback, longrepr), save that `traceback` covers the whole exception
chain: the outermost exception first, the deepest frame of its first cause last.

Without the variables, in forked children and in a pytest that a test starts, it does nothing.
"""

from __future__ import annotations

import hashlib
import json
import os
import sys
import sysconfig
import types
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pluggy import Result  # called _Result before pluggy 1.2, so never imported at run time

REPORT_VARIABLE = "GRAFTLINE_TASK_TEST_REPORT"
WORKTREE_VARIABLE = "GRAFTLINE_TASK_TEST_WORKTREE"
ONLY_VARIABLE = "GRAFTLINE_TASK_TEST_ONLY"
OPTIONS_VARIABLE = "PYTEST_ADDOPTS"

ID_CHARACTERS = 2_000
TEXT_CHARACTERS = 64_000
MESSAGE_CHARACTERS = 8_000
PATH_CHARACTERS = 1_000
FRAME_COUNT = 200
IDS_PER_LINE = 500
FRAMES = "graftline_frames"  # an attribute of reports: xdist carries it from its workers to the controller


def clean(text: str, limit: int = TEXT_CHARACTERS) -> str:
    """Text that survives JSON and UTF-8, with its middle left out when it is long."""
    text = text.encode("utf-8", "replace").decode("utf-8")
    if len(text) <= limit:
        return text
    return f"{text[: limit // 4]}\n[... {len(text) - limit} characters left out ...]\n{text[-(limit - limit // 4) :]}"


def short_id(nodeid: str) -> str:
    """The node id, made short without making two of them equal."""
    nodeid = nodeid.encode("utf-8", "replace").decode("utf-8")
    if len(nodeid) <= ID_CHARACTERS:
        return nodeid
    return f"{nodeid[: ID_CHARACTERS - 20]}...{hashlib.sha256(nodeid.encode()).hexdigest()[:16]}"


def exceptions_of(error: BaseException) -> Iterator[BaseException]:
    """The exception, then what caused it, then what caused that; members of groups included."""
    waiting = [error]
    seen = set()
    while waiting:
        current = waiting.pop(0)
        if id(current) in seen:
            continue
        seen.add(id(current))
        yield current
        if current.__cause__ is not None:
            waiting.append(current.__cause__)
        elif current.__context__ is not None and not current.__suppress_context__:
            waiting.append(current.__context__)
        members = getattr(current, "exceptions", ())
        if isinstance(members, tuple):
            waiting.extend(member for member in members if isinstance(member, BaseException))


def frames_of(error: BaseException) -> list[dict[str, object]]:
    """Every frame of the exception chain, deepest last; an import that failed ends in the module it failed on."""
    frames: list[dict[str, object]] = []
    for exception in exceptions_of(error):
        step = exception.__traceback__
        while step is not None:
            frames.append({"path": clean(step.tb_frame.f_code.co_filename, PATH_CHARACTERS), "lineno": step.tb_lineno})
            step = step.tb_next
        if isinstance(exception, SyntaxError) and isinstance(exception.filename, str):
            frames.append({"path": clean(exception.filename, PATH_CHARACTERS), "lineno": exception.lineno})
        elif isinstance(exception, ImportError) and isinstance(exception.path, str):
            frames.append({"path": clean(exception.path, PATH_CHARACTERS), "lineno": None})
    return frames[-FRAME_COUNT:]


def foreign_imports(worktree: str) -> list[str]:
    """Packages that the worktree holds but that were imported from elsewhere, each with where it came from.

    A module is foreign when its file lies outside the worktree while the same file exists in it: at the root, under
    `src`, or up to three folders down as in the checkout that an editable install points at.
    """
    root = os.path.realpath(worktree)
    stdlib = os.path.realpath(sysconfig.get_paths()["stdlib"]) + os.sep
    found: dict[str, str] = {}
    for name, module in sorted(sys.modules.items()):
        top = name.partition(".")[0]
        if top in found or name == "__main__" or not issubclass(type(module), types.ModuleType):
            continue  # `isinstance` is not enough: some extensions put things there that only claim to be modules
        # A lazy module loads itself on any ordinary attribute access; this one does not wake it.
        file = types.ModuleType.__getattribute__(module, "__dict__").get("__file__")
        if not isinstance(file, str):
            continue
        path = os.path.realpath(file)
        parts = Path(path).parts[1:]
        installed = "site-packages" in parts or "dist-packages" in parts
        if path.startswith(root + os.sep) or (path.startswith(stdlib) and not installed):
            continue
        own = name.split(".")
        if parts[-1].partition(".")[0] == "__init__":
            own = [*own, "__init__"]
        tail = parts[-len(own) :]
        if [*tail[:-1], tail[-1].partition(".")[0]] != own:
            continue
        above = [] if installed else [parts[-len(own) - depth : -len(own)] for depth in (1, 2, 3)]
        for folders in ([], ["src"], *above):
            if Path(root, *folders, *tail).is_file():
                found[top] = path
                break
    return [f"{top} ({path})" for top, path in found.items()]


class _Reporter:
    """Writes the lines of one pytest process, and keeps only the tests it was asked for."""

    def __init__(self, path: str, worktree: str, only: list[str] | None) -> None:
        self.path = path
        self.worktree = worktree
        self.only = only
        self.process = os.getpid()
        # Whoever prepared the run created the file: one that is gone or became a link is not written to.
        self.file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC)

    def write(self, event: str, **fields: object) -> None:
        """Append one line at once; nothing is buffered, so that a crash loses nothing."""
        if os.getpid() != self.process:
            return
        line = json.dumps({"event": event, **fields}).encode() + b"\n"
        while line:
            line = line[os.write(self.file, line) :]

    def _write_ids(self, nodeids: list[str]) -> None:
        for start in range(0, len(nodeids), IDS_PER_LINE):
            self.write("collected", nodeids=[short_id(nodeid) for nodeid in nodeids[start : start + IDS_PER_LINE]])

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, config: pytest.Config, items: list[pytest.Item]) -> None:
        """Keep the tests that were asked for; by plugin, since no spelling of an id is safe on a command line."""
        if self.only is None:
            return
        wanted = set(self.only)
        kept: list[pytest.Item] = []
        dropped: list[pytest.Item] = []
        for item in items:
            # The id of a file asks for every test in it: that is what a collection error is known by.
            names = {short_id(item.nodeid), item.nodeid.partition("::")[0]}
            (kept if names & wanted else dropped).append(item)
        if dropped:
            config.hook.pytest_deselected(items=dropped)
            items[:] = kept


class _WorkerReporter(_Reporter):
    """In an xdist worker: the controller reports the tests, only the worker knows what was imported."""

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self) -> None:
        self.write("foreign", imports=foreign_imports(self.worktree))


class _SessionReporter(_Reporter):
    """In the process that runs the tests, or has the workers of xdist run them."""

    options = ""

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_setupnodes(self) -> None:
        """Give the workers, which inherit this environment, the options that load this plugin; no test runs here."""
        os.environ[OPTIONS_VARIABLE] = self.options

    @pytest.hookimpl(optionalhook=True)
    def pytest_configure_node(self, node: object) -> None:
        """Tell a worker of xdist what this process took out of the environment."""
        node.workerinput["graftline"] = [self.path, self.worktree, self.only]  # type: ignore[attr-defined]  # xdist's

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self._write_ids([item.nodeid for item in session.items])

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        self._write_ids(ids)

    def pytest_collectstart(self, collector: pytest.Collector) -> None:
        if isinstance(collector, pytest.File):
            self.write("collecting", nodeid=short_id(collector.nodeid))

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self.write("collector", nodeid=short_id(report.nodeid), **stage_of(report))

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self.write("begin", nodeid=short_id(nodeid))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.outcome not in ("passed", "failed", "skipped") or (report.when != "call" and report.passed):
            return  # pytest-rerunfailures says "rerun" of what it will try again
        when = report.when if report.when in ("setup", "teardown") else "call"  # xdist says "???" of a dead worker's
        self.write("test", nodeid=short_id(report.nodeid), when=when, **stage_of(report))

    def pytest_runtest_logfinish(self, nodeid: str) -> None:
        self.write("end", nodeid=short_id(nodeid))

    def pytest_internalerror(self, excrepr: object) -> None:
        self.write("internal-error", longrepr=clean(str(excrepr)))

    @pytest.hookimpl(tryfirst=True)  # some projects end the process in theirs
    def pytest_sessionfinish(self) -> None:
        self.write("foreign", imports=foreign_imports(self.worktree))
        self.write("finish")


def stage_of(report: pytest.CollectReport | pytest.TestReport) -> dict[str, object]:
    """Outcome and, of a failure, crash, traceback and longrepr, as pytest-json-report has them."""
    if not report.failed:
        return {"outcome": report.outcome}
    stage: dict[str, object] = {
        "outcome": report.outcome,
        "traceback": vars(report).get(FRAMES, []),
        "longrepr": clean(report.longreprtext),
    }
    crash = getattr(report.longrepr, "reprcrash", None)
    if crash is not None:
        stage["crash"] = {
            "path": clean(str(crash.path), PATH_CHARACTERS),
            "lineno": crash.lineno,
            "message": clean(crash.message, MESSAGE_CHARACTERS),
        }
    return stage


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(call: pytest.CallInfo[None]) -> Generator[None, Result[pytest.TestReport], None]:
    """Hang the frames on the report: in an xdist worker too, where only the report travels to the controller."""
    result = yield
    report = result.get_result()
    if report.failed and call.excinfo is not None:
        vars(report)[FRAMES] = frames_of(call.excinfo.value)


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report() -> Generator[None, Result[pytest.CollectReport], None]:
    """The same for what cannot be collected."""
    result = yield
    report = result.get_result()
    call = getattr(report, "call", None)
    if report.failed and call is not None and call.excinfo is not None:
        vars(report)[FRAMES] = frames_of(call.excinfo.value)


def start_reporter() -> _SessionReporter | None:
    """The reporter this process was asked for, if it was and its file can be written.

    The variables leave the environment with that: a pytest that a test starts must not see them.
    """
    path = os.environ.pop(REPORT_VARIABLE, "")
    worktree = os.environ.pop(WORKTREE_VARIABLE, "")
    only = os.environ.pop(ONLY_VARIABLE, "")
    options = os.environ.pop(OPTIONS_VARIABLE, "")
    if not path:
        return None
    try:
        wanted = json.loads(Path(only).read_text(encoding="utf-8")) if only else None
        reporter = _SessionReporter(path, worktree, wanted)
    except OSError:
        return None
    reporter.options = options
    reporter.write("start", python=sys.version.split()[0], pytest=pytest.__version__)
    return reporter


@pytest.hookimpl(hookwrapper=True, tryfirst=True)
def pytest_load_initial_conftests(early_config: pytest.Config) -> Generator[None, Result[None], None]:
    """Start before any conftest of the project runs, and report one that cannot be imported: pytest ends there."""
    reporter = start_reporter()
    if reporter is not None:
        early_config.pluginmanager.register(reporter, "graftline-reporter")
    result = yield
    error = result.excinfo[1] if result.excinfo else None
    if reporter is not None and error is not None and type(error).__name__ == "ConftestImportFailure":
        cause = error.__cause__ or error
        reporter.write(
            "collector",
            nodeid=short_id(os.path.relpath(str(getattr(error, "path", "conftest.py")), reporter.worktree)),
            outcome="failed",
            traceback=frames_of(cause),
            longrepr=clean(f"{type(cause).__name__}: {cause}"),
        )


def pytest_configure(config: pytest.Config) -> None:
    """Report from an xdist worker, when its controller says so."""
    handed = getattr(config, "workerinput", {}).get("graftline")
    if handed is not None:
        config.pluginmanager.register(_WorkerReporter(*handed), "graftline-worker-reporter")
