"""Runs as real processes: what they say, what they end with, and what they leave behind."""

import fcntl
import json
import os
import pty
import re
import select
import signal
import struct
import termios
from pathlib import Path
from time import monotonic

import pytest

from graftline.cli import main
from graftline.report.model import Report, RunState, TaskState
from tests.cli.conftest import SECONDS, Meeting, Project, finish, read_until, write
from tests.local_server import wait_until

pytestmark = pytest.mark.prefect

RUN_PAGE = re.compile(r"^Prefect UI: http://127\.0\.0\.1:\d+/runs/flow-run/([0-9a-f-]{36})$", re.MULTILINE)


def test_a_run_can_be_watched_lands_and_can_be_looked_at_afterwards(
    served_project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    project = served_project
    monkeypatch.chdir(project.path)
    monkeypatch.setenv("GRAFTLINE_STATE_DIR", str(project.state_dir))

    def answer(*arguments: str) -> str:
        assert main([*arguments]) == 0
        return capfd.readouterr().out

    meeting = Meeting.at(tmp_path)
    project.write_plan(
        [{"id": "first"}, {"id": "second", "depends_on": ["first"]}],
        {
            "first": [{"say": "\x1b[31mhello\x1b[0m"}, meeting.step, write("src/first.txt")],
            "second": [write("second.txt", "\x1b[2Jcleared\n")],
        },
    )
    before = project.git("rev-parse", "HEAD")
    report_file = tmp_path / "report.md"
    run = project.start("run", project.plan, "--json", "--report", report_file, cwd=project.path / "src")
    announced = read_until(run, "Prefect UI")
    follower = project.start("logs", "first", "--follow")
    read_until(follower, "agent.log")
    announced += read_until(run, "first: started")
    assert Report.model_validate_json(answer("status", "--json")).state is RunState.RUNNING
    meeting.wait()
    meeting.release()
    ended, followed = finish(run), finish(follower)

    assert (ended.code, followed.code) == (0, 0)
    report = Report.model_validate_json(ended.stdout)
    assert json.loads(ended.stdout) == json.loads(answer("status", "--json"))
    assert [(task.id, task.state) for task in report.tasks] == [
        ("first", TaskState.SUCCEEDED),
        ("second", TaskState.SUCCEEDED),
    ]
    assert (report.state, report.cost_usd, report.landed_commit) == (
        RunState.LANDED,
        0.02,
        project.git("rev-parse", "main"),
    )
    assert RUN_PAGE.findall(announced) == [report.flow_run_id]
    assert announced.index("Plan    A plan: 2 tasks") < announced.index("Prefect UI") < announced.index("started")
    assert "\x1b" not in announced + ended.stderr + followed.stdout
    assert followed.stdout == "hello\nwrote src/first.txt\n"
    assert answer("logs", "first") == followed.stdout
    assert report.run in report_file.read_text()
    assert answer("status").startswith(f"Run: {report.run} ")
    assert answer("status", report.run[:-2]) == answer("status", report.flow_run_id) == answer("status")
    difference = answer("diff")
    assert (difference.count("diff --git"), "+\x1b[2Jcleared" in difference) == (2, True)
    on_a_terminal = shown_on_a_terminal(project, "diff")
    assert ("+cleared" in on_a_terminal, "\x1b" in on_a_terminal) == (True, False)
    assert answer("diff", report.run, "second").count("diff --git") == 1
    assert f"graftline/{report.run} is at {project.git('rev-parse', '--short=12', 'main')}" in answer("take")
    assert project.git("diff", before, f"graftline/{report.run}") + "\n" == difference
    assert answer("take", "--task", "second", "--branch", "mine").startswith("mine is at ")
    assert main(["take", "--branch", "mine"]) == 2
    assert "a branch 'mine' cannot be made: name another with --branch" in capfd.readouterr().err


def test_a_terminal_shows_a_live_table_and_agents_cannot_steer_it(served_project: Project, tmp_path: Path) -> None:
    meeting = Meeting.at(tmp_path)
    served_project.write_plan(
        [{"id": "good"}, {"id": "bad"}, {"id": "after", "depends_on": ["bad"]}],
        {
            "good": [{"say": "\x1b]0;owned\x07\x1b[2Jhello"}, meeting.step, write("new.txt")],
            "bad": [{"say": "\x1b[8mhidden\x07 " + "long " * 60}, {"exit": 3}],
        },
    )
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 160, 0, 0))
    run = served_project.start(
        "run", served_project.plan, stderr=terminal, variables={"TERM": "xterm-256color", "NO_COLOR": "1"}
    )
    os.close(terminal)
    shown = ""
    deadline = monotonic() + SECONDS  # read from the start: a terminal that nobody reads holds the run up
    while not (re.search(r"good +running.*hello", shown) and re.search(r"after +skipped", shown)):
        assert monotonic() < deadline, shown[-2000:]
        shown += read_terminal(controller)
    meeting.wait()
    meeting.release()
    while chunk := read_terminal(controller):
        shown += chunk
    os.close(controller)
    ended = finish(run)

    assert ended.code == 1
    assert re.search(r"bad +failed .* exit status 3: hidden", shown)
    assert re.search(r"good +waiting", shown)
    assert re.search(r"good +done", shown)
    assert "Traceback" not in shown
    # What Rich itself uses to redraw a table, and nothing else; the agent's own sequences and colours are gone.
    assert set(re.findall(r"\x1b\[?[^A-Za-z]*[A-Za-z]", shown)) <= {
        *("\x1b[?25l", "\x1b[?25h", "\x1b[1A", "\x1b[2K", "\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[3m", "\x1b[2;3m")
    }
    assert "\x07" not in shown
    assert "after" in ended.stdout


def shown_on_a_terminal(project: Project, *arguments: str) -> str:
    """What a command shows on a terminal."""
    controller, terminal = pty.openpty()
    command = project.start(*arguments, stdout=terminal)
    os.close(terminal)
    shown = ""
    while chunk := read_terminal(controller):
        shown += chunk
    os.close(controller)
    assert finish(command).code == 0
    return shown


def read_terminal(controller: int) -> str:
    """What was written to the terminal; nothing once its last writer is gone."""
    assert select.select([controller], [], [], SECONDS)[0], "nothing was drawn"
    try:
        return os.read(controller, 65536).decode(errors="replace")
    except OSError:  # Linux says EIO at the end
        return ""


@pytest.mark.parametrize(
    ("number", "times", "code"),
    [(signal.SIGINT, 2, 130), (signal.SIGTERM, 1, 143)],
    ids=["SIGINT-twice", "SIGTERM"],
)
def test_a_signal_ends_agents_keeps_their_work_and_lands_nothing(
    number: signal.Signals, times: int, code: int, served_project: Project, tmp_path: Path
) -> None:
    project = served_project
    meeting = Meeting.at(tmp_path)
    project.write_plan([{"id": "slow"}], {"slow": [write("half.txt"), meeting.step]})
    before = project.snapshot()
    run = project.start("run", project.plan)
    agent = meeting.wait()

    run.send_signal(number)
    for _ in range(1, times):  # by somebody impatient, while what was written is being kept
        wait_until(lambda: not Path(f"/proc/{agent}").exists())
        run.send_signal(number)
    ended = finish(run)

    assert (ended.code, "Traceback" in ended.stderr) == (code, False), ended.stderr
    assert not Path(f"/proc/{agent}").exists()
    report = Report.model_validate_json(project.run("status", "--json").stdout)
    assert (report.state, report.landed_commit, len(report.salvage)) == (RunState.CANCELLED, None, 1)
    assert "Cancelled" in ended.stdout
    assert project.snapshot() == before
    assert "half.txt" in project.run("diff", report.run, "slow").stdout


def test_a_run_goes_on_when_nobody_reads_what_it_says(served_project: Project) -> None:
    run = served_project.start("run", served_project.plan)
    assert run.stderr is not None
    assert run.stdout is not None
    run.stderr.close()
    run.stdout.close()

    assert run.wait(SECONDS) == 0
    assert served_project.git("show", "main:new.txt") == "content"


def test_what_is_found_wrong_only_within_the_flow_keeps_its_message_and_code(served_project: Project) -> None:
    run = served_project.start("run", served_project.plan)
    said = read_until(run, "Cap")
    run.send_signal(signal.SIGSTOP)
    served_project.plan.unlink()
    run.send_signal(signal.SIGCONT)
    ended = finish(run)

    assert ended.code == 2
    assert (said + ended.stderr).splitlines()[-1] == (
        f"graftline: {served_project.plan}: the plan file cannot be read: No such file or directory"
    )
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


def test_ctrl_c_while_the_server_starts_leaves_neither_server_nor_run(project: Project) -> None:
    run = project.start("run", project.plan)
    read_until(run, "starting the local Prefect server")
    run.send_signal(signal.SIGINT)
    ended = finish(run)

    assert (ended.code, ended.stdout, ended.stderr) == (130, "", "graftline: interrupted\n")
    assert list(project.state_dir.glob("server/*/address.json")) == []
    assert list(project.state_dir.glob("repos/*/runs/*")) == []


def test_a_configured_server_that_does_not_answer_is_named_before_anything_runs(project: Project) -> None:
    ended = project.run("run", project.plan, PREFECT_API_URL="http://127.0.0.1:9/api")

    assert (ended.code, ended.stdout) == (3, "")
    assert "graftline: no Prefect server answers at http://127.0.0.1:9/api" in ended.stderr
    assert "PREFECT_API_URL" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_ui_shows_the_page_of_a_run_on_the_configured_server(served_project: Project) -> None:
    shown = served_project.run("ui", "--no-open-browser", PREFECT_API_URL="http://127.0.0.1:9/api")

    assert (shown.code, shown.stdout) == (0, "http://127.0.0.1:9/dashboard\n")


def test_ui_joins_the_local_server_and_leaves_it_on_ctrl_c(served_project: Project) -> None:
    shown = served_project.start("ui", "--no-open-browser")
    read_until(shown, "stays up until Ctrl-C")
    shown.send_signal(signal.SIGINT)
    ended = finish(shown)

    assert ended.code == 0
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/dashboard\n", ended.stdout)


def test_who_stops_reading_ends_a_command_quietly(served_project: Project) -> None:
    config = served_project.start(
        "config", variables={"PYTHONUNBUFFERED": ""}
    )  # what is buffered is written at the end
    assert config.stdout is not None
    config.stdout.close()
    config.stdout = None
    ended = finish(config)

    assert (ended.code, ended.stderr) == (0, "")
