"""Agents of every CLI that are cut short, and what becomes of their work: one run, in which all that can befalls all.

Each agent is killed while it waits for the model; then graftline is killed while a command of the agent's runs, and the
run resumed; then the agent falls silent, and is ended. In the end every provider refuses the key.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from graftline.agents.outcome import OutcomeKind
from graftline.errors import ExitCode
from graftline.journal import EventKind, Journal
from graftline.ledger import Call, Ledger
from graftline.process import ProcessIdentity, is_alive
from graftline.records import AttemptRecord, task_records
from graftline.report.model import RunState, TaskState
from graftline.store import RunFolder, find_run
from tests.e2e.clis import CLAUDE, CLIS, Cli
from tests.e2e.graftline_process import PATIENCE_SECONDS, Agents, Finished, Graftline, finish, git, new_repository
from tests.model_server import Ending, ModelServer, RequestRecord

pytestmark = [pytest.mark.cli, pytest.mark.prefect]

each_cli = pytest.mark.parametrize("cli", CLIS, ids=lambda cli: cli.type)

# A command of an agent's whose beginning and end the test sees: it asks the model something itself, and waits.
COMMAND = "WAITING-COMMAND"
WAIT = f"""
import json, pathlib, sys, urllib.request
[file] = pathlib.Path().glob("*.txt")
body = {{"model": "m", "max_tokens": 1, "stream": True, "messages": [{{"role": "user", "content": "{COMMAND}"}}]}}
url = sys.argv[1] + "/ns/tool-" + file.stem + "/v1/messages"
urllib.request.urlopen(urllib.request.Request(url, json.dumps(body).encode())).read()
"""
# What an agent that goes on is told of the end of the attempt before.
KILLED = "interrupted from outside (status -9)"
ORPHANED = "ended before it finished"
SILENT = "it had printed nothing"
SETTINGS = {
    "GRAFTLINE_TEST__RUNNER": "none",
    "GRAFTLINE_RETRIES__MAX_PER_TASK": "3",
    "GRAFTLINE_RETRIES__MAX_PER_RUN": "20",
    # What a call that was cut short has cost is unknown, and counts at what was reserved for it.
    "GRAFTLINE_COST__MAX_USD": "1000",
}
# Longer than the slowest CLI takes to its first word while all of them start on a busy machine.
SILENCE = {"GRAFTLINE_TIMEOUTS__OUTPUT_STALL_SECONDS": "45"}
SPARED = "spared"
"""A task that would start once the key of its CLI has been refused."""


def works(cli: Cli) -> str:
    """The task in which a CLI's agent is cut short, again and again."""
    return f"works-{cli.type}"


def refused(cli: Cli) -> str:
    """The task in which its key is refused."""
    return f"refused-{cli.type}"


def tool(cli: Cli) -> str:
    """The namespace of the command that its agent runs."""
    return f"tool-{cli.type}"


def plan() -> str:
    """A task for each CLI; then, all at once, another one for each."""
    agents = {works(cli): cli for cli in CLIS} | {refused(cli): cli for cli in CLIS} | {SPARED: CLAUDE}
    first = [works(cli) for cli in CLIS]
    tasks = [
        {
            "id": task,
            "title": f"Title of {task}",  # which other tasks' agents are told, and not the prompt
            "agent": cli.profile,
            "depends_on": [] if task in first else first,
            # So that the last one waits for the one before it of the same CLI, however that ends.
            "writes": [f"{cli.type}.txt"],
        }
        for task, cli in agents.items()
    ]
    front = json.dumps({"version": "1", "title": "Cut short", "tasks": tasks})
    prompts = [f"## {task}\n\nDO-{task}.\n" for task in agents]
    return "\n".join([f"---\n{front}\n---\n", *prompts])


def scenario(server: ModelServer) -> dict[str, object]:
    """What the model says, by how the attempt before ended; where it hangs, the test interferes or the time runs out.

    How much of an answer that was cut off is in the session later is each CLI's own affair, so that nothing here goes
    on from the turns before.
    """

    def begin(cli: Cli) -> dict[str, object]:
        write = {"write": {"path": f"{cli.type}.txt", "content": "begun\n"}}
        return {"match": first_prompt(cli), "turns": [{"tools": [write]}, {"hang": True}]}

    def change(old: str, new: str) -> dict[str, object]:
        return {"tools": [{"bash": f"sed -i 's/{old}/{new}/' *.txt"}]}

    wait = {"tools": [{"bash": f"{sys.executable} wait.py {server.url}"}]}
    return {
        "scenarios": [
            {"match": COMMAND, "without_tools": True, "turns": [{"hang": True}]},
            # The latest first: a CLI may send prompts that got no answer as one with the next.
            {"match": SILENT, "turns": [change("half done", "done"), {"text": "done"}]},
            {"match": ORPHANED, "turns": [{"hang": True}]},
            {"match": KILLED, "turns": [change("begun", "half done"), wait, {"hang": True}]},
            *(begin(cli) for cli in CLIS),
            *({"match": f"DO-{refused(cli)}.", "turns": [{"error": "auth"}]} for cli in CLIS),
        ]
    }


def first_prompt(cli: Cli) -> str:
    """What only the prompt of the CLI's first task holds."""
    return f"DO-{works(cli)}."


def is_in(namespace: str, scenario: str, turn: int, ending: Ending, record: RequestRecord) -> bool:
    """Whether a request from there is that turn of the scenario, and so far."""
    return (record.namespace, record.scenario, record.turn, record.ending) == (namespace, scenario, turn, ending)


@dataclass(frozen=True)
class Killed:
    """The run whose process is dead, while its agents do not know."""

    graftline: Graftline
    server: ModelServer
    repository: Path
    folder: RunFolder
    base: str
    orphans: Mapping[str, ProcessIdentity]


@pytest.fixture(scope="module")
def killed(
    installed_clis: Mapping[Cli, Path], state_dir: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Killed]:
    """The run, up to the moment when graftline is killed."""
    folder = tmp_path_factory.mktemp("cut-short")
    home = folder / "home"
    home.mkdir()
    with ModelServer() as server:
        server.scenario(scenario(server))
        agents = Agents.around(installed_clis, folder / "agents", server)
        repository = new_repository(folder / "repository", {"wait.py": WAIT}, agents.profiles())
        graftline = Graftline(agents, state_dir, home)
        process = graftline.start_plan(repository, plan(), **SETTINGS)
        try:
            for cli in CLIS:
                wait_for(server, cli.type, first_prompt(cli), 1, Ending.HANGING)
                run = find_run(state_dir, "cut-short", None)
                os.kill(running_agents(run)[works(cli)].pid, signal.SIGKILL)
            for cli in CLIS:
                wait_for(server, tool(cli), COMMAND, 0, Ending.HANGING)
        except TimeoutError as late:
            process.terminate()
            pytest.fail(f"{late}\n{finish(process).stderr}")
        process.kill()
        process.communicate()
        yield Killed(graftline, server, repository, run, git(repository, "rev-parse", "main"), running_agents(run))


@dataclass(frozen=True)
class Resumed:
    """The same run, gone on with to its end."""

    killed: Killed
    finished: Finished
    calls: tuple[Call, ...]
    requests: tuple[RequestRecord, ...]

    def records(self, task: str) -> list[AttemptRecord]:
        """What is recorded of a task's attempts."""
        return list(task_records(self.killed.folder, task))


@pytest.fixture(scope="module")
def resuming(killed: Killed) -> "subprocess.Popen[str]":
    """Graftline as it goes on with the run, once every agent has been ended for its silence and has gone on."""
    process = killed.graftline.start(killed.repository, "resume", "--yes", "--json", **SETTINGS, **SILENCE)
    try:
        for cli in CLIS:
            wait_for(killed.server, cli.type, SILENT, 1, Ending.ANSWERED)
    except TimeoutError as late:
        process.terminate()
        pytest.fail(f"{late}\n{finish(process).stderr}")
    return process


@pytest.fixture(scope="module")
def resumed(killed: Killed, resuming: "subprocess.Popen[str]") -> Resumed:
    """What becomes of it."""
    finished = finish(resuming)
    calls = Ledger.open(killed.graftline.state_dir).account(killed.folder.id).calls
    return Resumed(killed, finished, calls, killed.server.requests())


def wait_for(server: ModelServer, namespace: str, scenario: str, turn: int, ending: Ending) -> None:
    """Wait until a request from there has come that far."""
    server.wait_for(partial(is_in, namespace, scenario, turn, ending), timeout_seconds=PATIENCE_SECONDS)


def running_agents(run: RunFolder) -> dict[str, ProcessIdentity]:
    """The latest agent process of each task."""
    return {
        str(entry.task): ProcessIdentity(int(str(entry.data["pid"])), str(entry.data["started"]))
        for entry in Journal.open(run.journal).entries()
        if entry.event is EventKind.PROCESS_STARTED and entry.data["what"] == "agent"
    }


@each_cli
def test_agents_of_a_killed_graftline_go_on_until_somebody_looks(killed: Killed, cli: Cli) -> None:
    assert is_alive(killed.orphans[works(cli)])


@each_cli
def test_who_resumes_ends_them_and_their_commands_first(resumed: Resumed, cli: Cli) -> None:
    assert not is_alive(resumed.killed.orphans[works(cli)])
    commands = [record.ending for record in resumed.requests if record.namespace == tool(cli)]
    assert commands == [Ending.CLIENT_GONE]


def test_a_person_is_told_what_a_killed_graftline_had_left_running(resumed: Resumed) -> None:
    for task, agent in resumed.killed.orphans.items():
        assert f"agent of {task} (process {agent.pid})" in resumed.finished.stderr


@each_cli
def test_an_agent_that_is_cut_short_goes_on_in_its_session(resumed: Resumed, cli: Cli) -> None:
    records = resumed.records(works(cli))
    assert [record.outcome for record in records] == [
        OutcomeKind.INTERRUPTED,
        OutcomeKind.INTERRUPTED,
        OutcomeKind.STALLED,
        OutcomeKind.OK,
    ]
    assert len({record.session_id for record in records}) == 1
    last = next(filter(partial(is_in, cli.type, SILENT, 1, Ending.ANSWERED), resumed.requests))
    # What the agent said right before it was killed need not be there: CLIs write their sessions down a bit later.
    said = (first_prompt(cli), KILLED, ORPHANED, SILENT)
    assert [last.text.count(words) for words in said] == [1] * len(said), "its task, and that it is to go on"


@each_cli
def test_what_it_had_done_is_there_and_is_kept(resumed: Resumed, cli: Cli) -> None:
    path = f"{cli.type}.txt"
    kept = [record.salvage for record in resumed.records(works(cli))]
    contents = [git(resumed.killed.folder.store.hub, "show", f"{ref}:{path}") for ref in kept if ref is not None]
    assert contents == ["begun", "half done", "half done"]
    assert resumed.finished.report.branch is not None
    assert git(resumed.killed.repository, "show", f"{resumed.finished.report.branch}:{path}") == "done"


@each_cli
def test_every_call_is_on_the_ledger_and_what_nobody_knows_is_unknown(resumed: Resumed, cli: Cli) -> None:
    calls = [call for call in resumed.calls if call.task == works(cli)]
    assert [(call.attempt, call.is_open) for call in calls] == [(number, False) for number in (1, 2, 3, 4)]
    assert [call.usage.cost_usd for call in calls[:3]] == [None, None, None]
    assert calls[3].usage.output_tokens is not None


@each_cli
def test_a_refused_key_ends_the_task_and_the_run(resumed: Resumed, cli: Cli) -> None:
    [task] = [task for task in resumed.finished.report.tasks if task.id == refused(cli)]
    assert (task.state, [attempt.outcome for attempt in task.attempts]) == (TaskState.FAILED, [OutcomeKind.AUTH])


def test_a_run_that_was_refused_starts_nothing_more_and_keeps_what_is_finished(resumed: Resumed) -> None:
    report = resumed.finished.report
    assert resumed.finished.status == ExitCode.WORK_FAILED, resumed.finished.stderr
    assert (report.state, report.landed_commit) == (RunState.FAILED, None)
    assert report.reason.startswith("auth: ")
    assert git(resumed.killed.repository, "rev-parse", "main") == resumed.killed.base
    [spared] = [task for task in report.tasks if task.id == SPARED]
    assert (spared.state, spared.attempts) == (TaskState.NOT_RUN, ())
    assert "auth" in spared.reason
    assert not [record for record in resumed.requests if f"DO-{SPARED}." in record.text]
