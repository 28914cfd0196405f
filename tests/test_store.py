"""The state directory's places, and finding a run by what a person types."""

import stat
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from graftline.errors import CannotRunError, GraftlineError, SettingsError, UnknownRunError
from graftline.journal import Header
from graftline.private_files import make_folder, write_file
from graftline.store import RepositoryStore, RunFolder, find_run, find_runs, repository_store, run_name, state_directory

FIRST_ID = "11111111-1111-4111-8111-111111111111"
SECOND_ID = "22222222-2222-4222-8222-222222222222"
START = datetime(2026, 1, 1, tzinfo=UTC)


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def add_run(store: RepositoryStore, run_id: str, name: str, *, minute: int = 0, journal_format: int = 1) -> RunFolder:
    run = store.run(run_id)
    header = Header(format=journal_format, run=run_id, name=name, created=START + timedelta(minutes=minute))
    write_file(run.journal, header.model_dump_json().encode() + b"\n")
    return run


@pytest.fixture
def store(tmp_path: Path) -> RepositoryStore:
    return repository_store(tmp_path / "state", "/home/me/project/.git")


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"GRAFTLINE_STATE_DIR": "{top}/own", "XDG_STATE_HOME": "{top}/xdg", "HOME": "{top}"}, "own"),
        ({"XDG_STATE_HOME": "{top}/xdg", "HOME": "{top}"}, "xdg/graftline"),
        ({"XDG_STATE_HOME": "relative/is/ignored", "HOME": "{top}"}, ".local/state/graftline"),
        ({"GRAFTLINE_STATE_DIR": "", "XDG_STATE_HOME": "", "HOME": "{top}"}, ".local/state/graftline"),
    ],
)
def test_state_directory_follows_the_environment_and_is_private(
    tmp_path: Path, environ: dict[str, str], expected: str
) -> None:
    folder = state_directory({name: value.format(top=tmp_path) for name, value in environ.items()})
    assert folder == tmp_path / expected
    assert mode_of(folder) == 0o700


def test_relative_state_directory_is_refused() -> None:
    with pytest.raises(SettingsError, match="absolute path, it is '~/state'"):
        state_directory({"GRAFTLINE_STATE_DIR": "~/state"})


def test_existing_state_directory_keeps_its_mode(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir()
    shared.chmod(0o755)
    assert mode_of(state_directory({"GRAFTLINE_STATE_DIR": str(shared)})) == 0o755
    assert mode_of(repository_store(shared, "/x/.git").folder) == 0o700


def test_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for folder in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(CannotRunError, match=f"cannot write {folder}"):
            make_folder(folder)


def test_failed_write_leaves_the_old_content_and_no_debris(tmp_path: Path) -> None:
    taken = tmp_path / "folder"
    taken.mkdir()
    with pytest.raises(CannotRunError, match=str(taken)):
        write_file(taken, b"new")
    assert list(tmp_path.iterdir()) == [taken]


def test_repository_store_records_which_repository_it_is(tmp_path: Path) -> None:
    store = repository_store(tmp_path, "/home/me/project/.git")
    assert store.recorded_path.read_text() == "/home/me/project/.git\n"
    assert mode_of(store.recorded_path) == 0o600
    assert repository_store(tmp_path, "/home/me/project/.git") == store
    assert repository_store(tmp_path, "/home/me/other/.git") != store


def test_password_of_a_remote_is_not_recorded(tmp_path: Path) -> None:
    store = repository_store(tmp_path, "https://me:secret@example.com/x.git")
    assert store.recorded_path.read_text() == "https://example.com/x.git\n"


def test_path_that_is_not_unicode_is_recorded_as_its_bytes(tmp_path: Path) -> None:
    assert repository_store(tmp_path, "/caf\udce9/.git").recorded_path.read_bytes() == b"/caf\xe9/.git\n"


@given(
    ids=st.lists(st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}", fullmatch=True), min_size=2, max_size=6, unique=True)
)
@example(ids=["a" * 30, "a" * 30 + "b", "a" * 15])
def test_no_two_worktrees_of_a_run_share_a_folder(ids: list[str]) -> None:
    run = RepositoryStore(Path("/state/repos/x")).run(FIRST_ID)
    places = [run.verify_worktree(label) for label in ("candidate", "round-1")]
    places += [run.worktree(task_id, n) for task_id in ids for n in (1, 2, 11)]
    places += [run.heal_worktree(n, task_id) for task_id in ids for n in (1, 2, 11)]
    assert len(set(places)) == len(places)
    assert {place.parent for place in places} == {run.worktrees}
    assert max(len(place.name) for place in places) <= 32


@pytest.mark.parametrize("identifier", ["..", "a/b", "", "-x", "a" * 65, "a\n", ".git"])
def test_id_that_could_leave_its_folder_is_refused(store: RepositoryStore, identifier: str) -> None:
    run = store.run(FIRST_ID)
    for place in (store.run, lambda task: run.attempt(task, 1), lambda task: run.heal(1, task)):
        with pytest.raises(GraftlineError, match="cannot be an id"):
            place(identifier)


def test_runs_are_listed_newest_first_whatever_their_format(store: RepositoryStore) -> None:
    old = add_run(store, SECOND_ID, "old-222222", minute=1)
    new = add_run(store, FIRST_ID, "new-111111", minute=2, journal_format=99)
    make_folder(store.run("never-started").path)
    assert find_runs(store) == [new, old]


def test_latest_run_is_that_of_this_repository(tmp_path: Path, store: RepositoryStore) -> None:
    other = repository_store(tmp_path / "state", "/home/me/other/.git")
    mine = add_run(store, FIRST_ID, "mine-111111")
    add_run(other, SECOND_ID, "theirs-222222", minute=5)
    assert find_run(tmp_path / "state", None, store) == mine


@pytest.mark.parametrize("wanted", [FIRST_ID, "fix-login-111111", "fix", "1111"])
def test_run_is_found_by_id_name_or_beginning_from_anywhere(
    tmp_path: Path, store: RepositoryStore, wanted: str
) -> None:
    run = add_run(store, FIRST_ID, "fix-login-111111")
    add_run(store, SECOND_ID, "add-tests-222222")
    elsewhere = repository_store(tmp_path / "state", "/home/me/other/.git")
    assert [find_run(tmp_path / "state", wanted, place) for place in (store, elsewhere, None)] == [run, run, run]


def test_whole_name_wins_over_a_beginning_and_this_repository_over_another(
    tmp_path: Path, store: RepositoryStore
) -> None:
    other = repository_store(tmp_path / "state", "/home/me/other/.git")
    whole = add_run(other, FIRST_ID, "fix")
    longer = add_run(store, SECOND_ID, "fix-222222")
    third = add_run(other, str(uuid4()), "fix-222-more")
    assert find_run(tmp_path / "state", "fix", store) == whole
    assert find_run(tmp_path / "state", "fix-2", store) == longer
    assert find_run(tmp_path / "state", "fix-222-", store) == third


def test_ambiguous_beginning_lists_the_candidates(tmp_path: Path, store: RepositoryStore) -> None:
    add_run(store, FIRST_ID, "fix-login-111111")
    add_run(store, SECOND_ID, "fix-logout-222222")
    with pytest.raises(UnknownRunError) as caught:
        find_run(tmp_path / "state", "fix-log", store)
    assert "fix-login-111111" in str(caught.value)
    assert "fix-logout-222222" in str(caught.value)


def test_unknown_run_says_which_there_are(tmp_path: Path, store: RepositoryStore) -> None:
    with pytest.raises(UnknownRunError, match="there are no runs"):
        find_run(tmp_path / "state", "nothing", store)
    with pytest.raises(UnknownRunError, match="this repository has no runs yet"):
        find_run(tmp_path / "state", None, store)
    with pytest.raises(UnknownRunError, match="name the run"):
        find_run(tmp_path / "state", None, None)
    add_run(store, FIRST_ID, "fix-login-111111")
    for wanted in ("nothing", ""):
        with pytest.raises(UnknownRunError, match="the latest are:\n  fix-login-111111"):
            find_run(tmp_path / "state", wanted, store)


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("Add rate limiting to the API", "add-rate-limiting-to-the-api-111111"),
        ("  Überprüfe: Größe.lock ", "uberprufe-groe-lock-111111"),
        ("直す", "run-111111"),
        ("", "run-111111"),
        ("x" * 39 + " y", "x" * 39 + "-111111"),
    ],
)
def test_run_name_is_a_readable_slug_and_the_start_of_the_id(title: str, expected: str) -> None:
    assert run_name(title, FIRST_ID) == expected


@settings(max_examples=60, deadline=None)
@given(title=st.text(max_size=80), run_id=st.uuids().map(str))
def test_run_name_is_always_a_valid_branch_component(title: str, run_id: str) -> None:
    name = run_name(title, run_id)
    assert len(name) <= 40 + 1 + 6
    assert "/" not in name
    done = subprocess.run(
        ["git", "check-ref-format", "--branch", f"graftline/{name}"], capture_output=True, check=False
    )
    assert done.returncode == 0, done.stderr
