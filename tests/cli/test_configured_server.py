"""What a Prefect server of a person's own shows of a run, through its API: pictures, states, retries and logs."""

import re
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
import yaml
from pydantic import JsonValue

from graftline.server import read_address
from tests.cli.conftest import SECONDS, MakeProject, write

TASKS: list[dict[str, object]] = [
    {"id": "model"},
    {"id": "store", "depends_on": ["model"]},
    {"id": "prices", "depends_on": ["model"], "max_retries": 1},
    {"id": "summary", "depends_on": ["store", "prices"]},
    {"id": "readme"},
]
EDGES = {("model", "store"), ("model", "prices"), ("store", "summary"), ("prices", "summary")}
SCRIPT: dict[str, object] = {
    "tasks": {
        **{name: [write(f"{name}.txt")] for name in ("model", "store", "summary")},
        "prices": {1: [{"say": "not yet"}, {"exit": 1}], "default": [write("prices.txt")]},
        "readme": [write("readme.txt"), write("broken.txt")],
    },
    "heals": {"readme": [{"delete": "broken.txt"}]},
}
FINAL = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")

Row = dict[str, JsonValue]


@dataclass(frozen=True)
class Api:
    """A Prefect server's REST API."""

    rest: httpx.Client

    def rows(self, kind: str, wanted: Row) -> list[Row]:
        """The rows of a kind that a filter leaves."""
        rows: list[Row] = self.rest.post(f"{kind}/filter", json=wanted).raise_for_status().json()
        return rows

    def graph(self, run: JsonValue) -> tuple[set[tuple[str, str, str]], set[tuple[str, str]]]:
        """Nodes (kind, label, state) and edges as the UI draws them; the server names an edge more than once."""
        drawn = [node for _, node in self.rest.get(f"flow_runs/{run}/graph-v2").raise_for_status().json()["nodes"]]
        labels = {node["id"]: node["label"] for node in drawn}
        edges = {(labels[parent["id"]], node["label"]) for node in drawn for parent in node["parents"]}
        return {(node["kind"], node["label"], node["state_type"]) for node in drawn}, edges

    def wait_for_rows(self, runs: list[JsonValue], count: int) -> list[Row]:
        """The task runs of some flow runs once all are there and in a final state: the server records them later."""
        return self._until(
            lambda: self.rows("task_runs", {"flow_runs": {"id": {"any_": runs}}, "limit": 200}),
            lambda rows: len(rows) >= count and all(row["state_type"] in FINAL for row in rows),
        )

    def _until(self, read: Callable[[], list[Row]], is_there: Callable[[list[Row]], bool]) -> list[Row]:
        deadline = time.monotonic() + SECONDS
        while not is_there(rows := read()):
            assert time.monotonic() < deadline, rows
            time.sleep(0.2)  # the API has no way to wait
        return rows


@pytest.mark.prefect
def test_a_persons_own_server_shows_the_plan_its_retries_the_heal_and_what_was_said(
    make_project: MakeProject, served_state_dir: Path, tmp_path: Path
) -> None:
    address = read_address(served_state_dir)
    assert address is not None
    project = make_project(tmp_path / "state of its own")
    project.write_plan(TASKS, {})
    (project.outside / "script.yaml").write_text(yaml.safe_dump(SCRIPT))

    ended = project.run("run", project.plan, PREFECT_API_URL=address.api_url)

    assert ended.code == 0, ended.stderr
    assert not (project.state_dir / "server").exists(), "no server was started for it"
    page = re.search(rf"^Prefect UI: {address.ui_url}/runs/flow-run/(\S+)$", ended.stderr, re.MULTILINE)
    assert page is not None
    run = page[1]
    with httpx.Client(base_url=address.api_url) as rest:
        api = Api(rest)
        subflows = api.rows("flow_runs", {"flow_runs": {"parent_flow_run_id": {"any_": [run]}}})
        assert {(flow["name"], flow["state_type"]) for flow in subflows} == {
            ("execute", "COMPLETED"),
            ("merge", "COMPLETED"),
            ("heal round 1", "COMPLETED"),
        }
        everything: list[JsonValue] = [run, *(flow["id"] for flow in subflows)]
        (execute,) = [flow["id"] for flow in subflows if flow["name"] == "execute"]
        steps = {"prepare", "baseline", "verify candidate", "verify round-1", "land", "report"}
        flows = {"execute / execute", "merge / merge", "heal / heal round 1"}
        # Each subflow has a task run of its own in its parent; `merge` and the heal hold one task run each.
        rows = api.wait_for_rows(everything, len(steps) + len(flows) + len(TASKS) + 2)

        nodes, edges = api.graph(run)
        assert nodes == {("task-run", step, "COMPLETED") for step in steps} | {
            ("flow-run", flow, "COMPLETED") for flow in flows
        }
        assert {
            ("merge / merge", "verify candidate"),
            ("verify candidate", "heal / heal round 1"),
            ("heal / heal round 1", "verify round-1"),
            ("verify round-1", "land"),
        } <= edges
        assert api.graph(execute) == ({("task-run", str(task["id"]), "COMPLETED") for task in TASKS}, EDGES)
        counts = {row["name"]: row["run_count"] for row in rows if row["flow_run_id"] == execute}
        assert counts == {**{str(task["id"]): 1 for task in TASKS}, "prices": 2}
        assert "heal readme" in {row["name"] for row in rows}

        logs = api.rows("logs", {"logs": {"flow_run_id": {"any_": everything}}, "limit": 200})
    said = set(re.findall(r"^\d\d:\d\d:\d\d (.+)$", ended.stderr, re.MULTILINE))
    assert len(said) > len(TASKS)
    assert said - {str(log["message"]) for log in logs} == set(), "what the terminal says is in the logs as well"
