"""What a killed process left: its agents are ended, what they wrote is kept, and the records say how it ended.

A run is left here the way a kill leaves it: opened, in the middle of something, and its lease free.
"""

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from graftline.agents.environment import PROMPT_FILE_VARIABLE, prompt_file
from graftline.agents.outcome import OutcomeKind, Usage
from graftline.attempt import Ask, Place, conclude_attempt, heal_place, interrupted, perform_attempt, reserve_place
from graftline.caps import Cap, Reservation, Scope
from graftline.git.worktrees import Worktree
from graftline.journal import Entry, EventKind, listening
from graftline.lease import Lease
from graftline.ledger import NextCall, Role
from graftline.opening import look_after_dead_runs, reopen_run
from graftline.private_files import make_folder
from graftline.process import ProcessIdentity, identify, is_alive
from graftline.records import AttemptState, read_record
from graftline.recovery import find_dead, is_unended
from graftline.report.files import read_report
from graftline.report.model import RunState, TaskState
from graftline.run import Run, close_run
from graftline.store import state_place, untold_runs
from graftline.verify.runner import home_of_tests
from graftline.workspace import cut_workspace
from tests.leftovers import processes_in
from tests.pipeline import Project, task, write

# Ends only when it is killed, and has a child in a session of its own that holds its output.
STUBBORN = """
import os, signal, subprocess, sys
signal.signal(signal.SIGTERM, signal.SIG_IGN)
code = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); signal.pause()"
subprocess.Popen([sys.executable, "-c", code], start_new_session=True)
signal.pause()
"""


@dataclass(frozen=True)
class Left:
    """A run whose process died in the middle of an attempt."""

    run: Run
    place: Place

    async def look_after(self) -> Run:
        """The run as the next command finds and leaves it."""
        run = await reopen_run(self.run.folder, os.environ)
        close_run(run)
        return run


async def leave_in_the_middle(project: Project, place: Place | None = None, *, heal: bool = False) -> Left:
    """An attempt that was begun and paid for, in a worktree in which something was written."""
    run = await project.open([task("a"), task("b", "a")], {})
    place = heal_place(run, "a", 1) if heal else await reserve_place(run, "a", run.base)
    run.journal.append(
        EventKind.ATTEMPT_STARTED,
        task="a",
        attempt=place.number,
        backend="command",
        round=place.round,
        base=run.base,
        key="key",
    )
    make_folder(place.folder)
    await cut_workspace(run, run.base, path=place.worktree, branch="a")
    call = NextCall(run_id=run.id, role=place.role, backend="command", task="a", attempt=place.number)
    assert isinstance(run.ledger.reserve(call, [Cap(Scope.RUN, 5)], lambda _: 0.5), Reservation)
    (place.worktree / "half.txt").write_text("half\n")
    return Left(run, place)


@contextmanager
def agent_of(left: Left, code: str) -> Iterator["subprocess.Popen[str]"]:
    """A process that the dead one had started as the attempt's agent; the test reaps it, since nobody else does."""
    env = {**os.environ, PROMPT_FILE_VARIABLE: str(prompt_file(left.place.folder))}
    process = subprocess.Popen(
        [sys.executable, "-c", code],
        cwd=left.place.worktree,
        env=env,
        start_new_session=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        left.run.recording("agent", task="a", attempt=left.place.number)(identify(process.pid))
        yield process
    finally:
        process.kill()
        process.communicate()


@contextmanager
def unrecorded(home: Path) -> Iterator["subprocess.Popen[bytes]"]:
    """A process with this home that the dead one had started and had not come to write down."""
    process = subprocess.Popen(["sleep", "300"], env={**os.environ, "HOME": str(home)}, start_new_session=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


@contextmanager
def stranger() -> Iterator["subprocess.Popen[bytes]"]:
    """A process that has nothing to do with any run."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, start_new_session=True)
    try:
        yield process
    finally:
        process.communicate(b"\n")


async def test_tests_that_began_before_they_were_recorded_are_ended(offline_project: Project) -> None:
    left = await leave_in_the_middle(offline_project)
    left.run.journal.append(EventKind.VERIFY_STARTED, label="candidate", commit=left.run.base, command=["make"])
    home = home_of_tests(left.run.folder.verify("candidate"))
    left.run.lease.release()
    with unrecorded(home) as tests:
        (said,) = await look_after_dead_runs(os.environ)
        assert tests.wait(timeout=10) != 0

    assert "ended what it left running: tests of candidate;" in said


async def test_agents_are_ended_with_what_they_started_and_their_work_is_kept(offline_project: Project) -> None:
    left = await leave_in_the_middle(offline_project)
    with agent_of(left, STUBBORN) as agent:
        assert agent.stdout is not None
        assert agent.stdout.readline() == "up\n"
        left.run.lease.release()
        assert find_dead(state_place(os.environ)) == [left.run.folder]
        heard: list[Entry] = []
        with listening(heard.append):
            (said,) = await look_after_dead_runs(os.environ)
        assert agent.wait(timeout=10) == -9
    assert processes_in([left.run.folder.worktrees]) == processes_in([])

    name, ref = left.run.pinned.name, left.place.salvage_ref
    assert said == (
        f"run {name}: process {os.getpid()} was killed or died; ended what it left running: agent of a (process "
        f"{agent.pid}), what the agent of a had started; its unfinished work is kept on {ref}; go on with it: "
        f"graftline resume {name}"
    )
    assert heard == [], "who follows another run is not told of this one"
    assert await left.run.hub.changed_paths(left.run.base, ref) == ("half.txt",)
    record = read_record(left.place.folder)
    assert record is not None
    assert (record.state, record.outcome, record.salvage) == (AttemptState.INTERRUPTED, OutcomeKind.INTERRUPTED, ref)
    assert (record.base, record.key, record.cost_usd) == (left.run.base, "key", None)
    (call,) = left.run.ledger.account(left.run.id).calls
    assert (call.is_open, call.outcome, call.usage.cost_usd) == (False, OutcomeKind.INTERRUPTED, None)
    report = read_report(left.run.folder)
    assert report is not None
    assert (report.state, report.reason) == (
        RunState.CRASHED,
        f"its process {os.getpid()} was killed or died; nothing landed; what was finished is kept",
    )
    assert [task.state for task in report.tasks] == [TaskState.CANCELLED, TaskState.NOT_RUN]
    assert list(left.run.folder.worktrees.iterdir()) == []
    assert find_dead(state_place(os.environ)) == []
    assert untold_runs(state_place(os.environ)) == [left.run.folder], "the Prefect server is told when it is up"
    assert await look_after_dead_runs(os.environ) == ()


async def test_what_an_attempt_left_that_went_on_in_anothers_worktree_is_kept(offline_project: Project) -> None:
    left = await leave_in_the_middle(offline_project)
    run, spec = left.run, left.run.plan.task("a")
    ask = Ask(spec=spec, base=run.base, key="key", prompt="")
    worktree = Worktree.at(left.place.worktree, run.base)
    await conclude_attempt(run, ask, left.place, worktree, interrupted(run.agent(spec), Usage()), 1.0)
    second = await reserve_place(run, "a", run.base, continues=left.place.number)
    run.journal.append(
        EventKind.ATTEMPT_STARTED,
        task="a",
        attempt=second.number,
        backend="command",
        round=0,
        base=run.base,
        key="key",
        continues=left.place.number,
    )
    make_folder(second.folder)
    (second.worktree / "rest.txt").write_text("the rest\n")
    run.lease.release()

    await look_after_dead_runs(os.environ)

    assert await run.hub.changed_paths(run.base, second.salvage_ref) == ("half.txt", "rest.txt")
    record = read_record(second.folder)
    assert record is not None
    assert (record.outcome, record.continues) == (OutcomeKind.INTERRUPTED, left.place.number)


async def test_a_process_that_only_has_the_number_of_an_agent_is_left_alone(offline_project: Project) -> None:
    left = await leave_in_the_middle(offline_project)
    with stranger() as other:
        left.run.recording("agent", task="a", attempt=1)(ProcessIdentity(other.pid, "another time"))
        left.run.lease.release()
        run = await left.look_after()
        assert other.poll() is None
    assert "ended" not in run.recovered


async def test_being_cut_off_while_looking_after_a_run_loses_nothing(offline_project: Project) -> None:
    left = await leave_in_the_middle(offline_project)
    left.run.lease.release()
    before = shutil.copytree(left.run.folder.path, offline_project.signals / "before")
    first = await left.look_after()
    # Killed before its last two lines: what it did is done, and the journal does not know.
    shutil.copyfile(before / "journal.jsonl", left.run.folder.journal)
    assert is_unended(left.run.folder)
    second = await left.look_after()

    assert "kept on" in first.recovered
    assert not is_unended(left.run.folder)
    refs = await second.hub.refs(second.ref("salvage"))
    assert list(refs) == [left.place.salvage_ref]
    record = read_record(left.place.folder)
    assert record is not None
    assert record.salvage == left.place.salvage_ref


async def test_an_attempt_that_was_recorded_before_the_kill_is_finished_work(offline_project: Project) -> None:
    run = await offline_project.open([task("a")], {"a": [write("a.txt")]})
    place = await reserve_place(run, "a", run.base)
    ask = Ask(spec=run.plan.task("a"), base=run.base, key="key", prompt="")
    record = await perform_attempt(run, ask, place)
    await run.hub.update_ref(place.ref, run.base)  # killed between the record and its ref
    run.lease.release()
    again = await reopen_run(run.folder, os.environ)
    close_run(again)

    assert record.commit is not None
    assert await run.hub.resolve(place.ref) == record.commit
    assert read_record(place.folder) == record
    report = read_report(run.folder)
    assert report is not None
    assert [task.state for task in report.tasks] == [TaskState.SUCCEEDED]
    assert not place.worktree.exists(), "it waited for the end of the run, which has come"


async def test_a_worktree_that_was_not_cut_to_its_end_holds_nobodys_work(offline_project: Project) -> None:
    left = await leave_in_the_middle(offline_project)
    left.place.worktree.with_name(f"{left.place.worktree.name}.exclude").unlink()
    left.run.lease.release()
    await left.look_after()

    assert list(left.run.folder.worktrees.iterdir()) == []
    assert await left.run.hub.refs(left.run.ref("salvage")) == {}
    assert read_record(left.place.folder) is None


async def test_work_that_cannot_be_kept_stays_and_is_named(offline_project: Project) -> None:
    left = await leave_in_the_middle(offline_project)
    index = left.place.worktree.with_name(f"{left.place.worktree.name}.index")
    index.write_bytes(b"damaged")
    left.run.lease.release()
    await left.look_after()

    assert (left.place.worktree / "half.txt").read_text() == "half\n"
    report = read_report(left.run.folder)
    assert report is not None
    assert any(f"a: its work is still in {left.place.worktree}, taking it failed" in note for note in report.notes)


async def test_a_heal_that_was_cut_off_is_kept_and_made_again_beside_it(offline_project: Project) -> None:
    left = await leave_in_the_middle(offline_project, heal=True)
    left.run.lease.release()
    run = await left.look_after()
    again = await reopen_run(run.folder, os.environ)
    place = heal_place(again, "a", 1)
    offline_project.configure({}, {"a": [write("other.txt"), {"exit": 1}]}, {})
    ask = Ask(spec=again.plan.task("a"), base=again.base, key="key", prompt="")
    record = await perform_attempt(again, ask, place)
    close_run(again)

    assert record.role is Role.HEAL
    assert record.salvage == f"{place.salvage_ref}-2"
    assert await again.hub.changed_paths(again.base, place.salvage_ref) == ("half.txt",)
    assert await again.hub.changed_paths(again.base, record.salvage) == ("other.txt",)


async def test_a_run_that_somebody_else_looks_after_is_left_to_them(offline_project: Project) -> None:
    left = await leave_in_the_middle(offline_project)
    left.run.lease.release()
    other = await Lease.acquire(left.run.folder.path)
    assert find_dead(state_place(os.environ)) == []
    assert await look_after_dead_runs(os.environ) == ()
    other.release()
    assert is_unended(left.run.folder)


async def test_agents_of_a_run_whose_repository_is_gone_are_ended_and_its_work_waits(
    offline_project: Project, tmp_path: Path
) -> None:
    left = await leave_in_the_middle(offline_project)
    with agent_of(left, "import signal; signal.pause()") as agent:
        left.run.lease.release()
        offline_project.path.rename(tmp_path / "elsewhere")
        assert await look_after_dead_runs(os.environ) == (), "nobody is told of it at every command"
        assert agent.wait(timeout=10) == -15

    assert (left.place.worktree / "half.txt").exists()
    (tmp_path / "elsewhere").rename(offline_project.path)
    (said,) = await look_after_dead_runs(os.environ)
    assert left.place.salvage_ref in said


async def test_words_of_an_agent_do_not_end_a_run(offline_project: Project) -> None:
    run = await offline_project.open([task("a")], {})
    run.journal.append(EventKind.WARNING, text='"event":"run-ended"')
    run.lease.release()
    assert is_unended(run.folder)
    assert not is_alive(ProcessIdentity(0, ""))
