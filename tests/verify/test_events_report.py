"""Reports as they may come: complete, broken off, broken, hostile."""

import io
import json
import os
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from graftline.verify.report import Report, open_report, read_report, relative_files
from graftline.verify.result import KEPT_FAILURES, MESSAGE_BYTES, SESSION, TRACE_BYTES, TestFailure

WORKTREE = Path("/nowhere/tree")
START = {"event": "start", "python": "3.11.7", "pytest": "9.2.0"}
FINISH = {"event": "finish"}


def read(*events: object, worktree: Path = WORKTREE) -> Report:
    lines = (event if isinstance(event, bytes) else json.dumps(event).encode() + b"\n" for event in events)
    return read_report(io.BytesIO(b"".join(lines)), worktree=worktree)


def moment(event: str, test: str) -> dict[str, object]:
    return {"event": event, "nodeid": test}


def stage(test: str, outcome: str = "passed", when: str = "call", **more: object) -> dict[str, object]:
    return {"event": "test", "nodeid": test, "when": when, "outcome": outcome, **more}


def a_test(test: str, outcome: str = "passed", when: str = "call", **more: object) -> list[dict[str, object]]:
    return [moment("begin", test), stage(test, outcome, when, **more), moment("end", test)]


def test_complete_report() -> None:
    report = read(
        START,
        {"event": "collected", "nodeids": ["a.py::one", "a.py::two", "a.py::three"]},
        *a_test("a.py::one"),
        *a_test("a.py::two", "skipped", when="setup"),
        *a_test(
            "a.py::three",
            "failed",
            crash={"path": "/nowhere/tree/a.py", "lineno": 3, "message": "assert 1 == 2"},
            traceback=[
                {"path": "/usr/lib/pytest.py", "lineno": 1},
                {"path": "/nowhere/tree/a.py", "lineno": 3},
                {"path": "/nowhere/tree/src/b.py", "lineno": 4},
                {"path": "/nowhere/tree/a.py", "lineno": 5},
                {"path": "<string>", "lineno": 1},
            ],
            longrepr="the whole story",
        ),
        {"event": "foreign", "imports": ["shop (/elsewhere/shop.py)"]},
        FINISH,
    )

    assert report == Report(
        started=True,
        finished=True,
        collected=("a.py::one", "a.py::two", "a.py::three"),
        passed=1,
        skipped_tests=("a.py::two",),
        failed_tests=("a.py::three",),
        failures=(TestFailure("a.py::three", "assert 1 == 2", "the whole story", ("src/b.py", "a.py"), "failed"),),
        foreign_imports=("shop (/elsewhere/shop.py)",),
    )


def test_broken_unknown_and_endless_lines_are_skipped() -> None:
    hostile = [
        b"\xff\xfe\n",
        b"{\n",
        b"[]\n",
        b'{"event": "begin"}\n',
        b'{"event": "no-such-event"}\n',
        b'{"event": "begin", "nodeid": "a", "extra": 1}\n',
        b'{"event": "end", "nodeid": "' + b"x" * 3_000_000 + b'"}\n',
        b"[" * 100_000 + b"\n",
    ]
    report = read(START, *hostile, *a_test("a.py::one"), FINISH, b'{"event": "begin", "nodeid": "cut off')

    assert report == Report(started=True, finished=True, collected=("a.py::one",), passed=1)


@given(st.lists(st.binary(max_size=60)))
def test_no_bytes_make_reading_fail(lines: list[bytes]) -> None:
    assert isinstance(read(*(line + b"\n" for line in lines)), Report)


def test_lost_outcome_leaves_the_test_unfinished() -> None:
    report = read(
        START, moment("begin", "a.py::one"), b'{"event": "test", "outco\n', moment("end", "a.py::one"), FINISH
    )

    assert (report.unfinished, report.passed) == (1, 0)


def test_report_that_breaks_off_names_what_was_running() -> None:
    assert read(START, *a_test("a.py::one"), moment("begin", "a.py::two")).running == ("a.py::two",)
    assert read(START, moment("collecting", "a.py")).running == ("a.py",)
    assert read(START, moment("collecting", "a.py"), {"event": "collected", "nodeids": []}).running == ()


def test_death_in_tear_down_is_seen_although_the_call_had_failed() -> None:
    begun = [START, moment("begin", "a.py::one"), stage("a.py::one", "failed")]

    assert read(*begun).running == ("a.py::one",)
    # What xdist says of a test whose worker died: failed, never ended, and the session goes on.
    report = read(*begun, FINISH)
    assert (report.running, report.unfinished, report.failed_tests) == ((), 0, ("a.py::one",))


def test_failure_in_several_stages_is_one_failure_of_its_first_stage() -> None:
    report = read(
        START,
        moment("begin", "a.py::one"),
        stage("a.py::one", "failed", longrepr="E   call", traceback=[{"path": "/nowhere/tree/a.py", "lineno": 1}]),
        stage(
            "a.py::one",
            "failed",
            "teardown",
            longrepr="E   tear-down",
            traceback=[{"path": "/nowhere/tree/conftest.py", "lineno": 1}],
        ),
        moment("end", "a.py::one"),
        FINISH,
    )

    trace = "E   call\n\nE   tear-down"
    assert report.failures == (TestFailure("a.py::one", "call", trace, ("conftest.py", "a.py"), "failed"),)


def test_failure_stays_one_whatever_comes_after_it() -> None:
    # As of a subtest that fails in a test that passes.
    report = read(START, moment("begin", "a"), stage("a", "failed"), stage("a", "passed"), moment("end", "a"), FINISH)

    assert (report.passed, report.failed_tests) == (0, ("a",))


def test_counts_are_exact_where_details_are_not_kept() -> None:
    tests = [f"a.py::test[{number}]" for number in range(KEPT_FAILURES + 50)]
    report = read(START, *(event for test in tests for event in a_test(test, "failed")), FINISH)

    assert report.failed_tests == tuple(tests)
    assert [failure.test for failure in report.failures] == tests[:KEPT_FAILURES]


def test_text_is_bounded_and_cannot_steer_a_terminal() -> None:
    crash = {"path": "a.py", "lineno": 1, "message": "\x1b[31mred\x1b]0;title\x07\u202e" + "é" * 9_000}
    report = read(
        START, *a_test("a.py::\x1b[2Jone", "failed", crash=crash, longrepr="x" * 60_000 + "\x1b[0m the end"), FINISH
    )

    [failure] = report.failures
    assert failure.test == "a.py::one"
    assert failure.message.startswith("redé")
    assert len(failure.message.encode()) <= MESSAGE_BYTES
    assert len(failure.trace.encode()) <= TRACE_BYTES
    assert failure.trace.endswith("x the end")


def test_internal_error_is_a_failure_of_the_session() -> None:
    report = read(START, {"event": "internal-error", "longrepr": "Traceback\nZeroDivisionError: no"}, FINISH)

    message = "pytest failed internally: ZeroDivisionError: no"
    assert report.failures == (TestFailure(SESSION, message, "Traceback\nZeroDivisionError: no", (), "crash"),)


def test_files_are_followed_through_links_and_never_out_of_the_worktree(tmp_path: Path) -> None:
    worktree = tmp_path / "tree"
    (worktree / "flows").mkdir(parents=True)
    (worktree / "graftline").mkdir()
    (worktree / "graftline" / "flows").symlink_to("../flows")
    (worktree / "out").symlink_to(tmp_path)
    paths = [
        f"{worktree}/graftline/flows/build.py",
        "out/secret",
        "../secret",
        "/etc/passwd",
        "a\0b",
        f"{tmp_path}/treetop",
    ]

    assert relative_files(paths, worktree) == ("flows/build.py",)


def test_stale_report_or_planted_link_is_replaced_not_followed(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_text("kept")
    path = tmp_path / "report.jsonl"
    path.symlink_to(target)

    with open_report(path) as stream:
        assert not path.is_symlink()
        path.write_text("from the reporter\n")
        path.unlink()
        os.mkfifo(path)
        assert stream.read() == b"from the reporter\n"
    assert target.read_text() == "kept"
