"""A run of twelve tasks, killed once wherever it can be: resumed, it comes to what it would have come to.

The process is held at an exact point (in a git command, in a test run, in an agent) and killed there with SIGKILL. What
it had started goes on, as it would on a person's machine, until the next command.
"""

import os
import shlex
import shutil
import signal
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic, sleep

import pytest

from graftline.journal import EventKind, Journal
from graftline.lease import holder_of
from graftline.ledger import Ledger
from graftline.report.files import read_report
from graftline.report.model import RunState
from graftline.store import RunFolder, find_runs, repository_store
from tests.cli.conftest import SECONDS, Project, Step, finish, shell, write
from tests.leftovers import processes_in

pytestmark = pytest.mark.prefect

FIRST = ("a1", "a2", "a3", "a4", "a5")
SECOND = ("b1", "b2", "b3", "b4")
THIRD = ("c1", "c2", "c3")
ALL = (*FIRST, *SECOND, *THIRD)
RED = "c3"
"""Its work turns the tests red, and its heal turns them green."""
# A git first on PATH: the real one, which waits before the one command that is to be held.
GIT = """#!/bin/sh
case "$*" in *{pattern}*) {hold} ;; esac
exec {git} "$@"
"""


@dataclass(frozen=True)
class Point:
    """A point of a run: in what it is held, and the tasks that are finished by then."""

    git: str = ""
    agent: str = ""
    heal: str = ""
    tests_of: str = ""
    finished: tuple[str, ...] = ()


POINTS = {
    "never": Point(finished=ALL),
    "prepare": Point(git="fetch"),
    "first wave": Point(agent="a5"),
    "between waves": Point(git="merge-tree", finished=FIRST),
    "merge": Point(git="/candidate/1", finished=ALL),
    "verify": Point(tests_of=RED, finished=ALL),
    "heal": Point(heal=RED, finished=ALL),
    "landing": Point(git="--ff-only", finished=(*ALL, "heal")),
}


@dataclass(frozen=True)
class Twelve:
    """The run in a project. The first process that comes to the point says so and waits; later ones pass."""

    project: Project
    point: Point
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def reached(self) -> Path:
        """Made by who comes to the point first, with its process id inside."""
        return self.project.outside / "reached"

    @property
    def hold(self) -> str:
        """What a shell does at the point."""
        folder = shlex.quote(str(self.reached))
        return (
            f"if mkdir {folder} 2>/dev/null; then echo $$ > {folder}/pid; "
            f"while test -d {folder}; do sleep 0.05; done; fi"
        )

    def set_up(self) -> None:
        """Write the plan, what its agents do, how it is tested, and the git that is held."""
        tasks = [
            {"id": task, "depends_on": list(before), "writes": [f"{task}.txt", *(["red.txt"] if task == RED else [])]}
            for before, wave in (((), FIRST), (FIRST, SECOND), (SECOND, THIRD))
            for task in wave
        ]
        script: dict[str, list[Step]] = {
            task: [self.count(task), write(f"{task}.txt", f"work of {task}\n")] for task in ALL
        }
        script[RED].append(write("red.txt"))
        if self.point.agent:
            script[self.point.agent].append(shell(self.hold))
        heal: list[Step] = [self.count("heal"), {"delete": "red.txt"}, *([shell(self.hold)] if self.point.heal else [])]
        self.project.write_plan(tasks, script, {RED: heal})
        test = self.project.outside / "test.sh"
        held = f"if test -e {self.point.tests_of}.txt; then {self.hold}; fi\n" if self.point.tests_of else ""
        test.write_text(f"{held}test ! -e red.txt\n")
        toml = self.project.path / "graftline.toml"
        toml.write_text(toml.read_text().replace('["sh", "-c", "! test -e broken.txt"]', f'["sh", "{test}"]'))
        self.project.git("commit", "-qam", "test with a script")
        self.project.git("tag", "start")
        real = shutil.which("git")
        assert real is not None
        if self.point.git:
            git = self.project.outside / "git"
            git.write_text(GIT.format(pattern=self.point.git, hold=self.hold, git=real))
            git.chmod(0o755)

    def count(self, what: str) -> Step:
        """The step by which an agent counts its call."""
        return shell(f"echo {what} >> {shlex.quote(str(self.calls_file))}")

    @property
    def calls_file(self) -> Path:
        """A line per call of an agent."""
        return self.project.outside / "calls"

    def calls(self) -> Counter[str]:
        """How often each agent was called."""
        return Counter(self.calls_file.read_text().split()) if self.calls_file.exists() else Counter()

    def kill_at_the_point(self) -> None:
        """Start the run, wait until it has come to the point, and kill it."""
        path = f"{self.project.outside}{os.pathsep}{os.environ['PATH']}"
        process = self.project.start("run", self.project.plan, variables={"PATH": path} if self.point.git else {})
        file = self.reached / "pid"
        deadline = monotonic() + SECONDS
        while not (file.exists() and file.read_text().endswith("\n")):
            assert process.poll() is None, f"the run ended before it came to the point:\n{finish(process).stderr}"
            assert monotonic() < deadline, "the run never came to the point"
            sleep(0.02)  # nothing tells that another process wrote a file
        process.kill()
        finish(process)
        if self.point.git:  # git is not an agent, and ends by itself; here it would wait for ever
            os.kill(int(file.read_text()), signal.SIGKILL)

    @property
    def folder(self) -> RunFolder:
        """The records of the one run there is."""
        store = repository_store(self.project.state_dir, str((self.project.path / ".git").resolve()))
        (folder,) = find_runs(store)
        return folder

    def result(self) -> dict[str, str]:
        """What is on main that was not there before."""
        names = self.project.git("diff", "--name-only", "start", "main").split()
        return {name: self.project.git("show", f"main:{name}") for name in names}


@pytest.mark.parametrize("name", POINTS)
def test_twelve_tasks_land_as_if_nobody_had_killed_the_run(served_project: Project, name: str) -> None:
    point = POINTS[name]
    run = Twelve(served_project, point)
    run.set_up()
    if name == "never":
        ended = served_project.run("run", served_project.plan)
        before = run.calls()
    else:
        run.kill_at_the_point()
        before = run.calls()
        assert not run.result(), "nothing has landed yet"
        ended = served_project.run("resume")

    assert ended.code == 0, ended.stderr
    assert run.result() == {f"{task}.txt": f"work of {task}" for task in ALL}
    calls = run.calls()
    assert {task: calls[task] for task in point.finished} == dict.fromkeys(point.finished, 1), "never called again"
    assert set(calls) == {*ALL, "heal"}
    again = {task for task, count in calls.items() if count > 1}
    assert again <= set(before) - set(point.finished), "only who was cut off is called a second time"
    report = read_report(run.folder)
    assert report is not None
    assert (report.state, report.landed_commit) == (RunState.LANDED, served_project.git("rev-parse", "main"))
    assert [task.state.value for task in report.tasks] == ["succeeded"] * len(ALL)
    check_nothing_is_left(run)
    entries = Journal.open(run.folder.journal).entries()
    landed = [entry.data["commit"] for entry in entries if entry.event is EventKind.LANDED]
    tests = [entry.data for entry in entries if entry.event is EventKind.VERIFY_ENDED]
    assert [one["commit"] for one in tests if one["passed"]][-1:] == landed == [report.landed_commit]
    account = Ledger.open(served_project.state_dir).account(run.folder.id)
    assert (len(account.calls), [call for call in account.calls if call.is_open]) == (calls.total(), [])
    if name == "landing":
        once_more = served_project.run("resume")
        assert (once_more.code, run.calls()) == (0, calls)
        assert "needs no going on: main is now at " in once_more.stderr


def check_nothing_is_left(run: Twelve) -> None:
    """No process, no worktree and no lock."""
    folder = run.folder
    of_the_session = processes_in([])  # the holder of its server
    assert processes_in([folder.store.folder, run.project.path]) == of_the_session
    assert list(folder.worktrees.iterdir()) == []
    assert holder_of(folder.path) is None
    for place in (folder.store.hub, run.project.path / ".git"):
        assert list(place.rglob("*.lock")) == []
