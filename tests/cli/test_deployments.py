"""Deployments, carried out by a real worker that has the wheel and nothing else of the checkout."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import pytest

from graftline.ledger import Ledger
from graftline.server import Server, client_environment, read_address
from tests.cli.conftest import ROOT, SECONDS, MakeProject, Project
from tests.prefect_api import FINAL, Api, Row, api_at

pytestmark = pytest.mark.prefect

ON_SCHEDULE = "auto-scheduled"
"""The tag that Prefect's scheduler gives its runs."""


@dataclass(frozen=True)
class Prefect:
    """Prefect's own command, in an environment where the wheel is installed, and the API of its server."""

    env: dict[str, str]
    elsewhere: Path
    api: Api

    def run(self, *arguments: str | Path, cwd: Path | None = None, pythonpath: Path | None = None) -> str:
        """What a Python module says that a person runs, away from the checkout."""
        env = self.env if pythonpath is None else {**self.env, "PYTHONPATH": str(pythonpath)}
        done = subprocess.run(
            [sys.executable, "-m", *map(str, arguments)],
            cwd=cwd or self.elsewhere,
            env=env,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def run_with(self, tag: str, *states: str) -> Row:
        """The first run with the tag, once it is in one of the states.

        A run is given another name when it starts, so tags tell runs apart.
        """
        tagged: Row = {"tags": {"all_": [tag]}, "state": {"type": {"any_": list(states)}}}
        return self.api.rows_once(bool, "flow_runs", {"flow_runs": tagged, "sort": "EXPECTED_START_TIME_ASC"})[0]


@pytest.fixture(scope="module")
def prefect(served_state_dir: Path, installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prefect]:
    """Prefect on a server with a work pool `agents`, and a worker of it."""
    address = read_address(served_state_dir)
    assert address is not None
    server = Server(api_url=address.api_url, ui_url=address.ui_url, local=False)
    env = {**os.environ, "PYTHONPATH": str(installed), "GRAFTLINE_STATE_DIR": str(served_state_dir)}
    env |= {**client_environment(server), "PREFECT_WORKER_QUERY_SECONDS": "1"}
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    with api_at(address.api_url) as api:
        prefect = Prefect(env, elsewhere, api)
        prefect.run("prefect", "work-pool", "create", "agents", "--type", "process")
        start = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "agents"]
        worker = subprocess.Popen(start, cwd=elsewhere, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            yield prefect
        finally:
            worker.send_signal(signal.SIGTERM)
            worker.wait(SECONDS)


def deployed(prefect: Prefect, file: Sequence[str | Path] = (), **where: Path) -> Row:
    """The deployment `build/build` as `prefect deploy --all` leaves it on the server."""
    assert "build/build" in prefect.run("prefect", "--no-prompt", "deploy", "--all", *file, **where)
    return prefect.api.get("deployments/name/build/build")


def test_a_worker_lands_what_a_command_another_system_and_a_schedule_ask_for(
    prefect: Prefect, make_project: MakeProject, served_state_dir: Path
) -> None:
    projects = {name: make_project(served_state_dir, name) for name in ("command", "rest", "schedule", "refused")}
    requests: dict[str, Row] = {
        name: {"repository": str(project.path), "plan_file": str(project.plan)} for name, project in projects.items()
    }
    checkout = deployed(prefect, cwd=ROOT, pythonpath=ROOT)
    wheel = deployed(prefect, ["--prefect-file", prefect.run("graftline.deployments").strip()])
    stored = ("id", "entrypoint", "pull_steps", "path", "parameter_openapi_schema", "enforce_parameter_schema")
    assert {name: wheel[name] for name in stored} == {name: checkout[name] for name in stored}
    assert (wheel["pull_steps"], wheel["path"]) == ([], None), "nothing of where one deploys is stored"
    url = f"deployments/{wheel['id']}"

    # Often enough that the next time is near when the scheduler comes to it; it is stopped once a run has started.
    schedule: Row = {"interval": 15.0, "anchor_date": datetime.now(UTC).isoformat()}
    scheduled: Row = {"schedule": schedule, "active": True, "parameters": {"request": requests["schedule"]}}
    prefect.api.post(f"{url}/schedules", [scheduled])
    prefect.api.post(f"{url}/create_flow_run", {"parameters": {"request": requests["rest"]}, "tags": ["rest"]})
    wrong: Row = {"parameters": {"request": requests["refused"] | {"plan": "x"}}, "tags": ["refused"]}
    prefect.api.post(f"{url}/create_flow_run", {**wrong, "enforce_parameter_schema": False})
    request = f"request={json.dumps(requests['command'])}"
    prefect.run("prefect", "deployment", "run", "build/build", "--param", request, "--tag", "command")

    prefect.run_with(ON_SCHEDULE, "PENDING", "RUNNING", *FINAL)
    prefect.api.post(f"{url}/pause_deployment")
    for name, tag in (("command", "command"), ("rest", "rest"), ("schedule", ON_SCHEDULE)):
        run = prefect.run_with(tag, *FINAL)
        assert (run["state_type"], run["deployment_id"]) == ("COMPLETED", wheel["id"]), run
        calls = Ledger.open(served_state_dir).account(str(run["id"])).calls
        assert [(call.deployment, call.profile) for call in calls] == [(wheel["id"], "scripted")]
        assert projects[name].git("show", "main:new.txt") == "content"
    refused = prefect.run_with("refused", *FINAL)
    assert refused["state_name"] == "Failed"
    assert "request.plan: Input should be" in str(refused["state"])
    assert projects["refused"].git("rev-list", "--all", "--count") == "1"


def test_a_worker_lands_a_plan_that_was_written_as_a_python_file(prefect: Prefect, served_project: Project) -> None:
    assert served_project.run("plan", served_project.plan, "--emit", "emitted.py").code == 0
    deploy = ("--no-prompt", "deploy", "emitted.py:build_plan", "--name", "mine", "--pool", "agents")
    said = prefect.run("prefect", *deploy, cwd=served_project.path)

    prefect.run("prefect", "deployment", "run", "a-plan/mine", "--tag", "emitted")

    assert "'a-plan/mine' successfully created" in " ".join(said.split())
    run = prefect.run_with("emitted", *FINAL)
    assert (run["state_type"], str(run["name"])[:6]) == ("COMPLETED", "a-plan")
    assert served_project.git("show", "main:new.txt") == "content"
