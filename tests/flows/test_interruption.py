"""A run that is stopped in the middle: nothing is left running, nothing is lost, nothing lands, and it says so."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from uuid import UUID

import pytest
from prefect.client.orchestration import PrefectClient, get_client
from prefect.states import Cancelling

from graftline.journal import Entry, EventKind, listening
from graftline.process import ProcessIdentity, is_alive
from graftline.report.model import RunState, exit_code
from graftline.run import RUN_TIMED_OUT
from graftline.tasks import watch
from tests.leftovers import processes_below
from tests.pipeline import Built, Project, Script, Tables, hanging, runs_flows, shell, task, write

pytestmark = runs_flows

TASKS = [task("done"), task("works", "done", agent="hanging"), task("after", "works")]
SCRIPT: Script = {"done": [write("done.txt")]}


@contextmanager
def when(event: EventKind, text: str = "") -> Iterator[asyncio.Event]:
    """An event that is set once the run's journal tells of something."""
    seen = asyncio.Event()
    loop = asyncio.get_running_loop()

    def listen(entry: Entry) -> None:
        if entry.event is event and text in str(entry.data):
            loop.call_soon_threadsafe(seen.set)

    with listening(listen):
        yield seen


def check_salvaged(project: Project, built: Built) -> None:
    """What must hold however the agent was stopped."""
    for entry in built.of(EventKind.PROCESS_STARTED):
        assert not is_alive(ProcessIdentity(int(str(entry.data["pid"])), str(entry.data["started"])))
    assert built.states == {"done": "succeeded", "works": "cancelled", "after": "not-run"}
    (attempt,) = built.tasks["works"].attempts
    assert (attempt.outcome.value, attempt.cost_usd) == ("interrupted", None), "what it had used by then is unknown"
    assert built.hub("show", f"{built.refs()['salvage/works/1']}:begun.txt") == "content"
    assert [(one.task, one.commit) for one in built.report.salvage] == [("works", built.refs()["salvage/works/1"])]
    assert not list(built.folder.worktrees.iterdir()), "what is kept on refs need not stay in worktrees"
    call = built.account.calls[-1]
    assert (call.task, call.is_open, call.usage.cost_usd) == ("works", False, None)
    assert (built.report.cost_usd, built.report.unknown_calls) == (None, 1)
    assert built.report.state is RunState.CANCELLED
    assert exit_code(built.report) == 1
    assert (built.report.landed_commit, built.report.branch) == (None, None)
    assert project.files("main") == project.files("HEAD")
    assert "done.txt" not in project.files("main")
    assert project.git("branch", "--format=%(refname:short)") == "main"
    assert (built.folder.path / "report.json").is_file()


async def test_a_run_whose_process_is_told_to_end_salvages_what_its_agents_wrote(project: Project) -> None:
    project.configure(SCRIPT, {}, hanging())
    run_id = await project.schedule(TASKS)
    with when(EventKind.AGENT_PROGRESS, "begun") as begun, when(EventKind.SALVAGED) as salvaging:
        running = asyncio.create_task(project.enter(run_id))
        await asyncio.wait({running, asyncio.create_task(begun.wait())}, return_when=asyncio.FIRST_COMPLETED)
        running.cancel()
        await salvaging.wait()
        running.cancel()  # once more, in the middle of it
        with pytest.raises(asyncio.CancelledError):
            await running
    built = await project.built(run_id)

    check_salvaged(project, built)
    assert built.report.reason == "ended by a signal; nothing landed; what was finished is kept"
    assert built.state.is_crashed()


async def test_a_run_that_is_cancelled_on_the_server_ends_its_agents_and_is_cancelled(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "POLL_SECONDS", 0.1)
    project.configure(SCRIPT, {}, hanging())
    run_id = await project.schedule(TASKS)
    with when(EventKind.AGENT_PROGRESS, "begun") as begun:
        running = asyncio.create_task(project.enter(run_id))
        await asyncio.wait({running, asyncio.create_task(begun.wait())}, return_when=asyncio.FIRST_COMPLETED)
        async with get_client() as client:
            await client.set_flow_run_state(UUID(run_id), Cancelling())
        built = await running

    check_salvaged(project, built)
    assert built.report.reason == "cancelled by request; nothing landed; what was finished is kept"
    assert (built.state.is_cancelled(), built.state.message) == (True, built.report.reason)


def deaf_tests(when: str) -> Tables:
    """Settings with a test command that ignores SIGTERM and never ends, where a condition holds."""
    line = f"{when} || exit 0; trap '' TERM; while :; do sleep 0.05; done"
    return {"test": {"command": ["sh", "-c", line]}}


def check_nothing_is_left(project: Project, built: Built) -> None:
    """What must hold when a run ends while its tests run."""
    assert not processes_below(built.folder.store.folder)
    assert not list(built.folder.worktrees.iterdir())
    assert (built.report.landed_commit, built.report.branch) == (None, None)
    assert project.git("branch", "--format=%(refname:short)") == "main"


async def test_a_run_that_is_cancelled_while_its_tests_run_ends_them_and_lands_nothing(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "POLL_SECONDS", 0.1)
    project.configure({"only": [write("only.txt")]}, {}, deaf_tests("test -e only.txt"))
    run_id = await project.schedule([task("only")])
    with when(EventKind.VERIFY_STARTED, "candidate") as testing:
        running = asyncio.create_task(project.enter(run_id))
        await asyncio.wait({running, asyncio.create_task(testing.wait())}, return_when=asyncio.FIRST_COMPLETED)
        async with get_client() as client:
            await client.set_flow_run_state(UUID(run_id), Cancelling())
        built = await running

    check_nothing_is_left(project, built)
    assert built.states == {"only": "succeeded"}
    assert built.report.state is RunState.CANCELLED
    assert built.state.is_cancelled()


async def test_a_run_whose_time_is_up_while_its_tests_run_ends_them_and_calls_nobody(project: Project) -> None:
    settings = {**deaf_tests("true"), "timeouts": {"run_seconds": 1.0}}
    built = await project.build([task("only")], {"only": [write("only.txt")]}, settings=settings)

    check_nothing_is_left(project, built)
    assert built.states == {"only": "not-run"}
    assert (built.report.state, built.report.cost_usd) == (RunState.FAILED, 0.0)
    assert built.report.reason.startswith(RUN_TIMED_OUT)
    assert built.state.is_failed()


async def is_running(client: PrefectClient, run_id: str) -> bool:
    state = (await client.read_flow_run(UUID(run_id))).state
    return state is not None and state.is_running()


async def test_a_run_that_is_cancelled_at_its_very_start_is_cancelled(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "POLL_SECONDS", 0.1)
    project.configure(SCRIPT, {}, hanging())
    run_id = await project.schedule(TASKS)
    running = asyncio.create_task(project.enter(run_id))
    async with get_client() as client:
        while not await is_running(client, run_id):  # noqa: ASYNC110  the server tells nobody by itself
            await asyncio.sleep(0.02)
        await client.set_flow_run_state(UUID(run_id), Cancelling())
    built = await running

    check_nothing_is_left(project, built)
    assert built.states["after"] == "not-run"
    assert built.report.state is RunState.CANCELLED
    assert built.state.is_cancelled()


async def test_work_that_cannot_be_kept_stays_where_it_is_and_the_run_says_where(project: Project) -> None:
    # The agent finds our hub through its own repository, and damages it.
    line = "hub=$(dirname $(cat .git/objects/info/alternates)); echo precious > work.txt; rm $hub/HEAD"
    settings = {"retries": {"max_per_task": 1}}
    built = await project.build([task("vandal")], {"vandal": [shell(line)]}, settings=settings)

    assert built.report.state is RunState.CRASHED
    assert exit_code(built.report) == 4
    (worktree,) = [path for path in built.folder.worktrees.iterdir() if path.is_dir()]
    assert (worktree / "work.txt").read_text() == "precious\n"
    assert any(f"vandal: its work is still in {worktree}, taking it failed" in each for each in built.report.notes)
