"""Deployments, carried out by a real worker that has the wheel and nothing else of the checkout."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from pydantic import JsonValue

from graftline.server import Server, client_environment, read_address
from tests.cli.conftest import ROOT, SECONDS, MakeProject, Project

pytestmark = pytest.mark.prefect

FINAL = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
ON_SCHEDULE = "auto-scheduled"
"""The tag that Prefect's scheduler gives its runs."""


@dataclass(frozen=True)
class Prefect:
    """Prefect's own command, in an environment where the wheel is installed, and its REST API."""

    env: dict[str, str]
    elsewhere: Path
    rest: httpx.Client

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

    def get(self, path: str) -> dict[str, JsonValue]:
        """What the API answers."""
        answer: dict[str, JsonValue] = self.rest.get(path).raise_for_status().json()
        return answer

    def ended(self, tag: str) -> dict[str, JsonValue]:
        """The first run with the tag that ended; runs are renamed when they start, so tags tell them apart."""
        wanted = {"flow_runs": {"tags": {"all_": [tag]}, "state": {"type": {"any_": FINAL}}}, "sort": "END_TIME_DESC"}
        deadline = time.monotonic() + SECONDS
        while time.monotonic() < deadline:
            runs: list[dict[str, JsonValue]] = self.rest.post("flow_runs/filter", json=wanted).raise_for_status().json()
            if runs:
                return runs[-1]
            time.sleep(0.2)  # the API has no way to wait
        pytest.fail(f"no run with the tag {tag} has ended: {self.rest.post('flow_runs/filter', json={}).text}")


@pytest.fixture(scope="module")
def prefect(served_state_dir: Path, installed: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Prefect]:
    """Prefect on a server with a work pool `agents`, and a worker of it."""
    address = read_address(served_state_dir)
    assert address is not None
    server = Server(api_url=address.api_url, ui_url=address.ui_url, local=False)
    env = {**os.environ, "PYTHONPATH": str(installed), "GRAFTLINE_STATE_DIR": str(served_state_dir)}
    env |= {**client_environment(server), "PREFECT_WORKER_QUERY_SECONDS": "1"}
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    with httpx.Client(base_url=address.api_url) as rest:
        prefect = Prefect(env, elsewhere, rest)
        prefect.run("prefect", "work-pool", "create", "agents", "--type", "process")
        start = [sys.executable, "-m", "prefect", "worker", "start", "--pool", "agents"]
        worker = subprocess.Popen(start, cwd=elsewhere, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
        try:
            yield prefect
        finally:
            worker.send_signal(signal.SIGTERM)
            worker.wait(SECONDS)


def deployed(prefect: Prefect, file: Sequence[str | Path] = (), **where: Path) -> dict[str, JsonValue]:
    """The deployment `build/build` as `prefect deploy --all` leaves it on the server."""
    assert "build/build" in prefect.run("prefect", "--no-prompt", "deploy", "--all", *file, **where)
    return prefect.get("deployments/name/build/build")


def test_a_worker_lands_what_a_command_another_system_and_a_schedule_ask_for(
    prefect: Prefect, make_project: MakeProject, served_state_dir: Path
) -> None:
    projects = {name: make_project(served_state_dir, name) for name in ("command", "rest", "schedule", "refused")}
    requests = {
        name: {"repository": str(project.path), "plan_file": str(project.plan)} for name, project in projects.items()
    }
    checkout = deployed(prefect, cwd=ROOT, pythonpath=ROOT)
    wheel = deployed(prefect, ["--prefect-file", prefect.run("graftline.deployments").strip()])
    stored = ("id", "entrypoint", "pull_steps", "path", "parameter_openapi_schema", "enforce_parameter_schema")
    assert {name: wheel[name] for name in stored} == {name: checkout[name] for name in stored}
    assert (wheel["pull_steps"], wheel["path"]) == ([], None), "nothing of where one deploys is stored"
    url = f"deployments/{wheel['id']}"

    soon = datetime.now(UTC) + timedelta(seconds=10)
    schedule = {"interval": 3600.0, "anchor_date": soon.isoformat()}
    body = [{"schedule": schedule, "active": True, "parameters": {"request": requests["schedule"]}}]
    prefect.rest.post(f"{url}/schedules", json=body).raise_for_status()
    parameters = {"parameters": {"request": requests["rest"]}, "tags": ["rest"]}
    prefect.rest.post(f"{url}/create_flow_run", json=parameters).raise_for_status()
    unchecked = {"parameters": {"request": requests["refused"] | {"plan": "x"}}, "enforce_parameter_schema": False}
    prefect.rest.post(f"{url}/create_flow_run", json={**unchecked, "tags": ["refused"]}).raise_for_status()
    request = f"request={json.dumps(requests['command'])}"
    prefect.run("prefect", "deployment", "run", "build/build", "--param", request, "--tag", "command")

    for name, tag in (("command", "command"), ("rest", "rest"), ("schedule", ON_SCHEDULE)):
        run = prefect.ended(tag)
        assert (run["state_type"], run["deployment_id"]) == ("COMPLETED", wheel["id"]), run
        assert projects[name].git("show", "main:new.txt") == "content"
    refused = prefect.ended("refused")
    assert refused["state_name"] == "Failed"
    assert "request.plan: Input should be" in str(refused["state"])
    assert projects["refused"].git("rev-list", "--all", "--count") == "1"


def test_a_worker_lands_a_plan_that_was_written_as_a_python_file(prefect: Prefect, served_project: Project) -> None:
    assert served_project.run("plan", served_project.plan, "--emit", "emitted.py").code == 0
    deploy = ("--no-prompt", "deploy", "emitted.py:build_plan", "--name", "mine", "--pool", "agents")
    said = prefect.run("prefect", *deploy, cwd=served_project.path)

    prefect.run("prefect", "deployment", "run", "a-plan/mine", "--tag", "emitted")

    assert "'a-plan/mine' successfully created" in " ".join(said.split())
    run = prefect.ended("emitted")
    assert (run["state_type"], str(run["name"])[:6]) == ("COMPLETED", "a-plan")
    assert served_project.git("show", "main:new.txt") == "content"
