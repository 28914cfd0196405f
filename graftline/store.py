"""The state directory: where each repository's hub, runs and worktrees are, and how a run is found by name.

    <state directory>/
        ledger.db
        repos/<digest>/                 one per repository
            repository                  its path, for people
            hub.git
            plannings/<id>/             what `graftline plan` needs while it makes a plan
            runs/<run id>/              journal, report, and one folder per attempt, verification and heal call
            worktrees/<run id>/         working trees, gone once their work is on refs

Methods that name a place do not make it. Ids become file names here, so an id that could leave its folder is refused.
"""

import hashlib
import os
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from graftline.errors import CannotRunError, GraftlineError, SettingsError, UnknownRunError
from graftline.journal import Header, read_header
from graftline.private_files import make_folder, write_file

SLUG_CHARACTERS = 40
VERIFY_PREFIX = "_verify-"
"""How the working trees in which tests run are called; nobody works in them."""
_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_SHORT_ID_CHARACTERS = 24


def state_directory(environ: Mapping[str, str]) -> Path:
    """The folder that holds everything graftline remembers; made for its owner only when it is missing."""
    return make_folder(state_place(environ))


def state_place(environ: Mapping[str, str]) -> Path:
    """Where that folder is or would be; nothing is made."""
    if chosen := environ.get("GRAFTLINE_STATE_DIR"):
        if not Path(chosen).is_absolute():
            raise SettingsError(f"GRAFTLINE_STATE_DIR must be an absolute path, it is {chosen!r}")
        return Path(chosen)
    return _base_folder(environ, "XDG_STATE_HOME", Path(".local", "state")) / "graftline"


def cache_place(environ: Mapping[str, str]) -> Path:
    """Where what can be made again is or would be kept, outside the state directory; nothing is made."""
    return _base_folder(environ, "XDG_CACHE_HOME", Path(".cache")) / "graftline"


def _base_folder(environ: Mapping[str, str], variable: str, usual: Path) -> Path:
    chosen = Path(environ.get(variable, ""))
    # The XDG specification: a relative path is ignored.
    return chosen if chosen.is_absolute() else _home(environ) / usual


def _home(environ: Mapping[str, str]) -> Path:
    if home := environ.get("HOME"):
        return Path(home)
    try:
        return Path.home()
    except RuntimeError as error:
        raise CannotRunError(
            "there is no home directory to keep state in: set GRAFTLINE_STATE_DIR to a folder graftline may write to"
        ) from error


@dataclass(frozen=True)
class RepositoryStore:
    """The places of one repository."""

    folder: Path

    @property
    def hub(self) -> Path:
        """The private bare repository that all runs of this repository share."""
        return self.folder / "hub.git"

    @property
    def runs(self) -> Path:
        """The folder with one folder per run."""
        return self.folder / "runs"

    @property
    def worktrees(self) -> Path:
        """The folder with one folder of working trees per run."""
        return self.folder / "worktrees"

    @property
    def baselines(self) -> Path:
        """Test runs of trees that were nobody's work yet; all runs share them."""
        return self.folder / "baselines"

    @property
    def recorded_path(self) -> Path:
        """The file that says which repository this is, for people who look around."""
        return self.folder / "repository"

    @property
    def answers(self) -> Path:
        """What planners answered to which question; nobody pays for the same answer twice."""
        return self.folder / "answers"

    @property
    def plannings(self) -> Path:
        """The folder with one folder for each request that only a plan is being made of."""
        return self.folder / "plannings"

    def planning(self, plan_id: str) -> "RunFolder":
        """The places of a request that only a plan is made of; they go with it."""
        return RunFolder(self.plannings / _checked(plan_id))

    def run(self, run_id: str) -> "RunFolder":
        """The places of one run, which may not exist yet."""
        return RunFolder(self.runs / _checked(run_id))


@dataclass(frozen=True)
class RunFolder:
    """The places of one run."""

    path: Path

    @property
    def id(self) -> str:
        """The run's id: its Prefect flow run id."""
        return self.path.name

    @property
    def store(self) -> RepositoryStore:
        """The places of the repository this run belongs to."""
        return RepositoryStore(self.path.parent.parent)

    @property
    def journal(self) -> Path:
        """The run's own record of what happened."""
        return self.path / "journal.jsonl"

    @property
    def pinned(self) -> Path:
        """What was fixed at the start: base, plan and settings."""
        return self.path / "run.json"

    @property
    def planning(self) -> Path:
        """What the planner proposed."""
        return self.path / "planning"

    @property
    def results(self) -> Path:
        """Where Prefect keeps the results of plan tasks."""
        return self.path / "results"

    @property
    def report_json(self) -> Path:
        """The report for machines."""
        return self.path / "report.json"

    @property
    def report_markdown(self) -> Path:
        """The report for people."""
        return self.path / "report.md"

    @property
    def untold(self) -> Path:
        """A file that is there from the moment this run was found dead until its Prefect server was told."""
        return self.path / "untold"

    @property
    def worktrees(self) -> Path:
        """The folder with this run's working trees."""
        return self.store.worktrees / self.id

    def attempt(self, task_id: str, number: int) -> Path:
        """What belongs to one attempt and is not its work: prompt, output log, index, the CLI's private home."""
        return self.path / "tasks" / _checked(task_id) / str(number)

    def attempts(self, task_id: str) -> tuple[Path, ...]:
        """The folders of a task's attempts, oldest first."""
        return _numbered(self.path / "tasks" / _checked(task_id))

    def verify(self, label: str) -> Path:
        """What belongs to one verification."""
        return self.path / "verify" / _checked(label)

    def heal(self, round_number: int, task_id: str) -> Path:
        """What belongs to one heal call."""
        return self.path / "heal" / str(round_number) / _checked(task_id)

    def heals(self, task_id: str) -> tuple[Path, ...]:
        """The folders of a task's heal calls, oldest first."""
        rounds = (folder / _checked(task_id) for folder in _numbered(self.path / "heal"))
        return tuple(folder for folder in rounds if folder.is_dir())

    def worktree(self, task_id: str, number: int) -> Path:
        """The working tree of one attempt."""
        return self.worktrees / f"{_short(task_id)}-{number}"

    def verify_worktree(self, label: str) -> Path:
        """The working tree in which one commit is tested."""
        return self.worktrees / f"{VERIFY_PREFIX}{_checked(label)}"

    def test_worktrees(self) -> tuple[Path, ...]:
        """The working trees in which commits are tested that are there now."""
        return tuple(sorted(path for path in self.worktrees.glob(f"{VERIFY_PREFIX}*") if path.is_dir()))

    def heal_worktree(self, round_number: int, task_id: str) -> Path:
        """The working tree of one heal call."""
        return self.worktrees / f"{_short(task_id)}-heal{round_number}"

    def header(self) -> Header | None:
        """Who this run is, from its journal; None when it never got that far."""
        return read_header(self.journal)


def _numbered(folder: Path) -> tuple[Path, ...]:
    """The folders in it that are called by a number, in that order."""
    return tuple(sorted((path for path in folder.glob("*") if path.name.isdecimal()), key=lambda path: int(path.name)))


def repository_store(state_dir: Path, key: str) -> RepositoryStore:
    """The places of the repository with this key: the real path of its common git directory, or its remote's address.

    The folder is made and the key recorded in it, without a password that may stand in an address.
    """
    store = repository_place(state_dir, key)
    make_folder(store.folder)
    if not store.recorded_path.exists():
        write_file(store.recorded_path, os.fsencode(re.sub(r"(?<=://)[^/@]*@", "", key)) + b"\n")
    return store


def repository_place(state_dir: Path, key: str) -> RepositoryStore:
    """The same places, where they are or would be; nothing is made."""
    return RepositoryStore(state_dir / "repos" / hashlib.sha256(os.fsencode(key)).hexdigest()[:16])


def find_runs(store: RepositoryStore) -> list[RunFolder]:
    """The runs of one repository that got as far as a journal, newest first."""
    return [run for run, _header in _runs_with_headers(store)]


def find_run(state_dir: Path, wanted: str | None, store: RepositoryStore | None) -> RunFolder:
    """The run with this id or name, or with the only one that starts so; None means this repository's latest.

    A whole id or name wins over a beginning, and a run of `store` over one of another repository.
    """
    if wanted is None:
        return _latest_run(store)
    own = _runs_with_headers(store) if store else []
    others = [
        found
        for folder in sorted(state_dir.glob("repos/*"))
        if store is None or folder != store.folder
        for found in _runs_with_headers(RepositoryStore(folder))
    ]
    for is_match in (_is_called, _starts_with):
        for runs in (own, others):
            matches = [(run, header) for run, header in runs if wanted and is_match(header, wanted)]
            if len(matches) == 1:
                return matches[0][0]
            if matches:
                raise UnknownRunError(f"{wanted!r} is not one run; it could be:\n{_listing(matches)}\nGive more of it.")
    known = own or others
    raise UnknownRunError(
        f"no run is called {wanted!r}" + (f"; the latest are:\n{_listing(known)}" if known else ": there are no runs")
    )


def find_place(state_dir: Path, run_id: str) -> RunFolder | None:
    """The places of the run with exactly this id, whichever repository it is of; None when it has left nothing yet."""
    return next((RunFolder(path) for path in state_dir.glob(f"repos/*/runs/{_checked(run_id)}")), None)


def all_runs(state_dir: Path) -> list[RunFolder]:
    """Every run that has left anything in a state directory."""
    return [RunFolder(path) for path in sorted(state_dir.glob("repos/*/runs/*"))]


def untold_runs(state_dir: Path) -> list[RunFolder]:
    """The runs that were found dead and whose Prefect server does not know it yet."""
    return [RunFolder(path.parent) for path in sorted(state_dir.glob("repos/*/runs/*/untold"))]


def run_name(title: str, run_id: str) -> str:
    """The name of a run for people and branches: a slug of its title and the first 6 characters of its id."""
    ascii_title = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode()
    slug = re.sub(r"[^a-z0-9]+", "-", ascii_title.lower()).strip("-")[:SLUG_CHARACTERS].rstrip("-")
    return f"{slug or 'run'}-{_checked(run_id)[:6]}"


def _latest_run(store: RepositoryStore | None) -> RunFolder:
    if store is None:
        raise UnknownRunError("this is not a repository, so there is no latest run: name the run")
    runs = find_runs(store)
    if not runs:
        raise UnknownRunError("this repository has no runs yet: start one with `graftline run`")
    return runs[0]


def _runs_with_headers(store: RepositoryStore) -> list[tuple[RunFolder, Header]]:
    runs = [RunFolder(path) for path in store.runs.glob("*")]
    found = [(run, header) for run in runs if (header := run.header())]
    return sorted(found, key=lambda pair: (pair[1].created, pair[1].run), reverse=True)


def _is_called(header: Header, wanted: str) -> bool:
    return wanted in (header.run, header.name)


def _starts_with(header: Header, wanted: str) -> bool:
    return header.run.startswith(wanted) or header.name.startswith(wanted)


def _listing(runs: list[tuple[RunFolder, Header]]) -> str:
    shown = [f"  {header.name}  {header.created:%Y-%m-%d %H:%M} UTC  {header.run}" for _run, header in runs[:10]]
    return "\n".join([*shown, *([f"  and {len(runs) - 10} more"] if len(runs) > 10 else [])])


def _checked(identifier: str) -> str:
    """Ids come from plans and servers; one that is not a plain name must not become a path."""
    if not _ID.fullmatch(identifier):
        raise GraftlineError(f"{identifier!r} cannot be an id: letters, digits, - and _ only, at most 64")
    return identifier


def _short(task_id: str) -> str:
    """A task's part of a working tree's name. Sockets and script interpreters inside end at about 100 characters.

    No id starts with an underscore, so a shortened one is never another task's.
    """
    if len(_checked(task_id)) <= _SHORT_ID_CHARACTERS:
        return task_id
    return f"_{task_id[:15]}-{hashlib.sha256(task_id.encode()).hexdigest()[:7]}"
