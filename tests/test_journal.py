"""The journal keeps what was appended through crashes, full disks and odd text."""

import fcntl
import json
import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from contextlib import AbstractContextManager
from contextvars import copy_context
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import JsonValue

from graftline.errors import CannotRunError, GraftlineError, UnknownRunError, UserError
from graftline.journal import FORMAT, Entry, EventKind, Journal, listening

RUN_ID = "11111111-1111-4111-8111-111111111111"

json_values: st.SearchStrategy[JsonValue] = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats() | st.text(st.characters(), max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal.create(tmp_path / "run" / "journal.jsonl", RUN_ID, "fix-login-111111")


def test_header_opens_the_file_and_names_the_run(journal: Journal) -> None:
    first = json.loads(journal.path.read_text())
    assert first == {
        "format": FORMAT,
        "run": RUN_ID,
        "name": "fix-login-111111",
        "created": journal.header.created.isoformat().replace("+00:00", "Z"),
    }
    assert stat.S_IMODE(journal.path.stat().st_mode) == 0o600
    assert Journal.open(journal.path) == journal


def test_entries_come_back_in_order_as_they_were_appended(journal: Journal) -> None:
    appended = [
        journal.append(EventKind.RUN_PREPARED, base="a" * 40),
        journal.append(EventKind.ATTEMPT_STARTED, task="api", attempt=1, backend="claude-code", model="m"),
        journal.append(EventKind.ATTEMPT_ENDED, task="api", attempt=1, outcome="ok", cost_usd=None, seconds=1.5),
    ]
    assert Journal.open(journal.path).entries() == appended


def test_journal_is_never_started_twice(journal: Journal) -> None:
    journal.append(EventKind.WARNING, text="keep me")
    with pytest.raises(GraftlineError, match="exists already"):
        Journal.create(journal.path, RUN_ID, "again")
    assert len(journal.entries()) == 1


def test_missing_journal_is_an_unknown_run(tmp_path: Path) -> None:
    with pytest.raises(UnknownRunError, match="no journal at"):
        Journal.open(tmp_path / "journal.jsonl")


def test_newer_format_is_refused_with_what_to_do(journal: Journal) -> None:
    newer = {"format": FORMAT + 1, "run": RUN_ID, "name": "n", "created": "2026-01-01T00:00:00Z", "more": 1}
    journal.path.write_text(json.dumps(newer) + "\n")
    said = rf"newer graftline \(journal format {FORMAT + 1}, this one knows {FORMAT}\): update graftline"
    with pytest.raises(UserError, match=said):
        Journal.open(journal.path)


def test_damage_before_the_last_line_is_an_error_that_names_the_line(journal: Journal) -> None:
    for number in range(3):
        journal.append(EventKind.WARNING, number=number)
    lines = journal.path.read_bytes().splitlines(keepends=True)
    journal.path.write_bytes(b"".join([*lines[:2], lines[2][:9] + b"\n", lines[3]]))
    with pytest.raises(GraftlineError, match=r"journal\.jsonl:3: the line is damaged"):
        journal.entries()


def test_unknown_event_on_a_whole_last_line_is_not_taken_for_a_cut_one(journal: Journal) -> None:
    with journal.path.open("a") as file:
        file.write('{"at": "2026-01-01T00:00:00Z", "event": "invented"}\n')
    with pytest.raises(GraftlineError, match=r"journal\.jsonl:2: "):
        journal.entries()


@settings(deadline=None, max_examples=60)
@given(data=st.data(), values=st.lists(json_values, min_size=1, max_size=3))
def test_journal_cut_anywhere_reads_a_prefix_and_goes_on(data: st.DataObject, values: list[JsonValue]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal.create(Path(folder) / "journal.jsonl", RUN_ID, "n")
        header_bytes = journal.path.stat().st_size
        entries = [journal.append(EventKind.WARNING, task="t", value=value) for value in values]
        assert journal.entries() == entries
        os.truncate(journal.path, data.draw(st.integers(header_bytes - 1, journal.path.stat().st_size)))

        left = Journal.open(journal.path).entries()
        assert left == entries[: len(left)]
        whole_lines = journal.path.read_bytes().count(b"\n") - 1
        assert len(left) >= whole_lines
        appended = journal.append(EventKind.RUN_ENDED)
        assert Journal.open(journal.path).entries() == [*left, appended]


@settings(deadline=None)
@given(cut=st.integers(0, 60))
def test_cut_header_is_an_error_and_not_an_empty_run(cut: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        journal = Journal.create(Path(folder) / "journal.jsonl", RUN_ID, "n")
        os.truncate(journal.path, cut)
        with pytest.raises(GraftlineError, match=r"journal\.jsonl:1: the header cannot be read"):
            Journal.open(journal.path)


def test_text_that_is_not_unicode_and_numbers_that_are_none_are_made_storable(journal: Journal) -> None:
    entry = journal.append(
        EventKind.WARNING, text="a\udcffb\u2028\x00", cost=float("nan"), more=[float("inf"), {"\ud800": 1}]
    )
    assert entry.data == {"text": "a?b\u2028\x00", "cost": None, "more": [None, {"?": 1}]}
    assert journal.entries() == [entry]


def test_listeners_hear_every_entry_of_their_context_and_nothing_after(journal: Journal) -> None:
    heard: list[Entry] = []
    outer: list[Entry] = []
    journal.append(EventKind.PLAN_NOTED)
    with listening(outer.append):
        with listening(heard.append):
            first = journal.append(EventKind.TASK_SUCCEEDED, task="a")
            with ThreadPoolExecutor(1) as threads:
                second = threads.submit(copy_context().run, journal.append, EventKind.WARNING).result()
        third = journal.append(EventKind.RUN_ENDED)
    journal.append(EventKind.WARNING)
    assert heard == [first, second]
    assert outer == [first, second, third]


def test_agent_progress_is_told_but_not_kept(journal: Journal) -> None:
    heard: list[Entry] = []
    with listening(heard.append):
        progress = journal.append(EventKind.AGENT_PROGRESS, task="a", attempt=1, text="editing x.py")
    assert heard == [progress]
    assert journal.entries() == []


def test_entry_is_on_disk_before_listeners_hear_of_it(journal: Journal) -> None:
    kept: list[list[Entry]] = []
    with listening(lambda _entry: kept.append(journal.entries())):
        entry = journal.append(EventKind.LANDED, commit="c" * 40)
    assert kept == [[entry]]


def test_threads_and_processes_never_mix_their_lines(journal: Journal) -> None:
    script = (
        "import sys; from pathlib import Path; from graftline.journal import EventKind, Journal\n"
        "journal = Journal.open(Path(sys.argv[1]))\n"
        "for n in range(40): journal.append(EventKind.WARNING, who='process', n=n, text='x' * 5000)\n"
    )
    process = subprocess.Popen([sys.executable, "-c", script, str(journal.path)])
    with ThreadPoolExecutor(4) as threads:
        for n in range(40):
            threads.submit(journal.append, EventKind.WARNING, who="thread", n=n, text="y" * 5000)
    assert process.wait() == 0
    entries = journal.entries()
    assert sorted(str(entry.data["who"]) for entry in entries) == ["process"] * 40 + ["thread"] * 40
    assert [entry.data["n"] for entry in entries if entry.data["who"] == "process"] == list(range(40))


def test_append_waits_for_a_writer_that_is_in_the_middle_of_a_line(journal: Journal) -> None:
    line = journal.append(EventKind.WARNING, text="first").model_dump_json().encode() + b"\n"
    with journal.path.open("ab", buffering=0) as other_writer, ThreadPoolExecutor(1) as threads:
        fcntl.flock(other_writer, fcntl.LOCK_EX)
        other_writer.write(line[:20])
        appended = threads.submit(journal.append, EventKind.WARNING, text="third")
        wait([appended], timeout=0.2)  # time for an append that does not wait to do its damage
        other_writer.write(line[20:])
        fcntl.flock(other_writer, fcntl.LOCK_UN)
    assert [entry.data["text"] for entry in journal.entries()] == ["first", "first", "third"]


def test_full_disk_names_the_place_and_the_journal_goes_on_when_there_is_room(
    journal: Journal, disk_full_at: Callable[[int], AbstractContextManager[None]]
) -> None:
    kept = journal.append(EventKind.WARNING, text="kept")
    heard: list[Entry] = []
    with (
        listening(heard.append),
        disk_full_at(journal.path.stat().st_size + 20),
        pytest.raises(CannotRunError, match=f"cannot write {journal.path}: File too large"),
    ):
        journal.append(EventKind.WARNING, text="lost")
    assert heard == []
    assert journal.entries() == [kept]
    after = journal.append(EventKind.WARNING, text="after")
    assert journal.entries() == [kept, after]
