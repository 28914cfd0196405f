"""Runs whose local Prefect server is killed under them."""

import http.server
import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from graftline.report.model import Report, RunState, TaskState
from graftline.server import read_address
from graftline.server_folder import Address
from tests.cli.conftest import MakeProject, Meeting, Project, finish, read_until, write
from tests.local_server import end_left_over, kill
from tests.prefect_api import api_at

pytestmark = pytest.mark.prefect


@pytest.fixture
def lonely_project(make_project: MakeProject, tmp_path: Path) -> Iterator[Project]:
    """A project with a local server of its own, which nobody else's tests need."""
    project = make_project(tmp_path / "state")
    yield project
    end_left_over(project.state_dir)


def address_of(project: Project) -> Address:
    """The project's server."""
    address = read_address(project.state_dir)
    assert address is not None
    return address


def write_two_waves(project: Project, meeting: Meeting) -> None:
    """Write a plan whose second task takes a slot across runs for the first time after the meeting."""
    settings = project.path / "graftline.toml"
    settings.write_text(settings.read_text() + "[limits.groups]\nlate = 1\n")
    project.git("commit", "-qam", "limit the group")
    project.write_plan(
        [{"id": "first"}, {"id": "second", "depends_on": ["first"], "concurrency_group": "late"}],
        {"first": [meeting.step, write("first.txt")], "second": [write("second.txt")]},
    )


def test_a_run_lands_although_its_server_is_killed_and_the_next_run_stops_the_server_that_was_kept(
    lonely_project: Project, tmp_path: Path
) -> None:
    project = lonely_project
    meeting = Meeting.at(tmp_path)
    write_two_waves(project, meeting)
    run = project.start("run", project.plan, "--json", "--keep-server")
    meeting.wait()
    killed = address_of(project)
    kill(killed)
    meeting.release()
    ended = finish(run)

    assert ended.code == 0, ended.stderr
    assert "prefect." not in ended.stderr, "Prefect's own lines say what is mended by now"
    assert ended.stderr.count("the local Prefect server is gone without having been stopped; starting a new one") == 1
    report = Report.model_validate_json(ended.stdout)
    assert (report.state, report.landed_commit) == (RunState.LANDED, project.git("rev-parse", "main"))
    kept = address_of(project)
    assert (kept.port, kept != killed) == (killed.port, True)
    with api_at(kept.api_url) as api:
        flow_run = api.get(f"flow_runs/{report.flow_run_id}")
    assert (flow_run["name"], flow_run["state_name"]) == (report.run, "Completed")

    project.write_plan([{"id": "third"}], {"third": [write("third.txt")]})
    after = project.run("run", project.plan)
    assert (after.code, "local Prefect server" in after.stderr) == (0, False), after.stderr
    assert read_address(project.state_dir) is None


@contextmanager
def stranger_at(port: int) -> Iterator[None]:
    """Serve something at the port that has never heard of Prefect."""

    class Stranger(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_error(404)

        def do_POST(self) -> None:
            self.send_error(404)

        def log_message(self, *_arguments: object) -> None:
            """Keep the test's output clean."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", port), Stranger) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield
        server.shutdown()


def test_a_run_whose_server_cannot_come_back_ends_with_what_its_agents_did(
    lonely_project: Project, tmp_path: Path
) -> None:
    project = lonely_project
    meeting = Meeting.at(tmp_path)
    project.write_plan(
        [{"id": "first"}, {"id": "second", "depends_on": ["first"]}],
        {"first": [meeting.step, write("first.txt")], "second": [write("second.txt")]},
    )
    before = project.git("rev-parse", "main")
    run = project.start("run", project.plan, "--json")
    meeting.wait()
    killed = address_of(project)
    run.send_signal(signal.SIGSTOP)  # it must not start the server again before somebody else has the port
    kill(killed)
    with stranger_at(killed.port):
        run.send_signal(signal.SIGCONT)
        read_until(run, f"its port {killed.port} is taken by another program")
        meeting.release()
        ended = finish(run)

    assert (ended.code, "Traceback" in ended.stderr) == (3, False), ended.stderr
    gone = "the Prefect server no longer answers as it should (it does not know the run); what is finished is kept"
    assert ended.stderr.splitlines()[-1] == f"graftline: {gone}"
    report = Report.model_validate_json(ended.stdout)
    assert (report.state, report.reason, report.landed_commit) == (RunState.CRASHED, gone, None)
    assert [task.state for task in report.tasks] == [TaskState.SUCCEEDED, TaskState.SUCCEEDED]
    assert project.git("rev-parse", "main") == before
    assert "first.txt" in project.run("diff", report.run, "first").stdout
    assert not os.path.lexists(f"/proc/{killed.pid}/cwd")
