"""What recent commits tell: real repositories, with messages and names of any bytes."""

import subprocess
from pathlib import Path

import pytest

from graftline.git.repository import open_repository
from graftline.planning.history import MAX_PATHS, MESSAGE_CHARS, Commit, History, read_history
from tests.conftest import MakeRepository, run_git


def commit(folder: Path, message: bytes, files: dict[bytes, str]) -> str:
    """A commit with exactly these bytes as its message."""
    for path, content in files.items():
        (folder / path.decode("utf-8", "surrogateescape")).write_text(content)
    run_git(folder, "add", "-A")
    verbatim = ["-c", "i18n.commitEncoding=none-known", "commit", "-q", "--cleanup=verbatim", "-F", "-"]
    argv = ["git", *verbatim, "--allow-empty", "--allow-empty-message"]
    subprocess.run(argv, cwd=folder, check=True, input=message, capture_output=True)
    return run_git(folder, "rev-parse", "HEAD")


def read(folder: Path, max_commits: int = 100) -> tuple[Commit, ...]:
    return read_history(open_repository(folder), "HEAD", max_commits=max_commits).commits


def test_every_commit_with_its_paths_newest_first_and_merges_left_out(make_repository: MakeRepository) -> None:
    folder = make_repository({"b.py": "1\n", "a.py": "1\n"})
    run_git(folder, "switch", "-qc", "side")
    commit(folder, b"On the side\n\nwith a body\n", {b"side.py": "1\n"})
    run_git(folder, "switch", "-q", "main")
    commit(folder, b"On the main line", {b"a.py": "2\n"})
    run_git(folder, "merge", "-q", "--no-ff", "-m", "Merge", "side")
    found = read(folder)
    assert {(each.subject, each.message, each.paths) for each in found} == {
        ("On the side", "On the side\n\nwith a body", ("side.py",)),
        ("On the main line", "On the main line", ("a.py",)),
        ("first", "first", ("a.py", "b.py")),
    }
    assert found[-1].id == run_git(folder, "rev-list", "--max-parents=0", "HEAD")
    assert found[-1].time == int(run_git(folder, "log", "-1", "--format=%ct", found[-1].id))
    assert [each.subject for each in read(folder, max_commits=2)] == [each.subject for each in found[:2]]


def test_messages_and_names_of_any_bytes_stay_apart(make_repository: MakeRepository) -> None:
    folder = make_repository({"a.py": "1\n"})
    commit(folder, b"\n\nfake\n\n" + b"0" * 40 + b"\n\xff\xfe", {b"\nline\nend.py": "1\n", b"\xff.py": "1\n"})
    commit(folder, b"", {})
    commit(folder, b"x" * (2 * MESSAGE_CHARS), {b"a.py": "2\n"})
    long, empty, odd, first = read(folder)
    assert (long.paths, len(long.message)) == (("a.py",), MESSAGE_CHARS)
    assert (empty.subject, empty.message, empty.paths) == ("", "", ())
    assert (odd.subject, odd.paths) == ("fake", ("\nline\nend.py", "\udcff.py"))
    assert odd.message.endswith("\n\ufffd\ufffd")
    assert first.paths == ("a.py",)


def test_a_mass_change_joins_no_files(make_repository: MakeRepository) -> None:
    folder = make_repository()
    commit(folder, b"mass", {b"%d" % number: "1\n" for number in range(MAX_PATHS + 1)})
    commit(folder, b"many", {b"%d" % number: "2\n" for number in range(MAX_PATHS)})
    many, mass, _ = read(folder)
    assert (len(many.paths), mass.paths) == (MAX_PATHS, ())


@pytest.mark.parametrize("key", ["log.showRoot=false", "diff.renames=copies", "format.pretty=oneline"])
def test_a_persons_own_settings_change_nothing(make_repository: MakeRepository, key: str) -> None:
    folder = make_repository({"old.py": "1\n2\n3\n"})
    run_git(folder, "mv", "old.py", "new.py")
    commit(folder, b"Rename", {})
    plain = read(folder)
    run_git(folder, "config", *key.split("="))
    assert read(folder) == plain
    assert [each.paths for each in plain] == [("new.py", "old.py"), ("old.py",)]


def test_files_that_change_together() -> None:
    history = History(
        tuple(
            Commit(str(number), "", "", paths, 0)
            for number, paths in enumerate([("a", "b"), ("a", "b", "c"), ("c",), (), ("a",)])
        )
    )
    assert history.together("a") == {"b": 2, "c": 1}
    assert history.together("unknown") == {}
    assert [each.id for each in history.touching(["b", "c"])] == ["0", "1", "2"]
