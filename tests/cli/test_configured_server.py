"""What a Prefect server of a person's own shows of a run, through its API: pictures, states, retries and logs."""

import re
from pathlib import Path

import pytest
import yaml
from pydantic import BaseModel, JsonValue

from graftline.server import read_address
from tests.cli.conftest import MakeProject, write
from tests.prefect_api import FINAL, Api, api_at

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


class Parent(BaseModel):
    """The start of an edge."""

    id: str


class Node(BaseModel):
    """A run in the picture of another one."""

    id: str
    kind: str
    label: str
    state_type: str
    parents: list[Parent]


class Graph(BaseModel):
    """The picture of a run."""

    nodes: list[tuple[str, Node]]


def graph(api: Api, run: JsonValue) -> tuple[set[tuple[str, str, str]], set[tuple[str, str]]]:
    """Nodes (kind, label, state) and edges as the UI draws them; the server names an edge more than once."""
    drawn = Graph.model_validate(api.get(f"flow_runs/{run}/graph-v2")).nodes
    labels = {node.id: node.label for _, node in drawn}
    edges = {(labels[parent.id], node.label) for _, node in drawn for parent in node.parents}
    return {(node.kind, node.label, node.state_type) for _, node in drawn}, edges


@pytest.mark.prefect
def test_a_persons_own_server_shows_the_plan_its_retries_the_heal_and_what_was_said(
    make_project: MakeProject, served_state_dir: Path, tmp_path: Path
) -> None:
    address = read_address(served_state_dir)
    assert address is not None
    project = make_project(tmp_path / "state of its own")
    project.write_plan(TASKS, {})
    (project.outside / "script.yaml").write_text(yaml.safe_dump(SCRIPT))

    doctor = project.run("doctor", PREFECT_API_URL=address.api_url)
    ended = project.run("run", project.plan, PREFECT_API_URL=address.api_url)

    assert f"server    {address.api_url}, which answers\n" in doctor.stdout
    assert ended.code == 0, ended.stderr
    assert not (project.state_dir / "server").exists(), "no server was started for it"
    page = re.search(rf"^Prefect UI: {address.ui_url}/runs/flow-run/(\S+)$", ended.stderr, re.MULTILINE)
    assert page is not None
    run = page[1]
    with api_at(address.api_url) as api:
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
        count = len(steps) + len(flows) + len(TASKS) + 2
        rows = api.rows_once(
            lambda rows: len(rows) >= count and all(row["state_type"] in FINAL for row in rows),
            "task_runs",
            {"flow_runs": {"id": {"any_": everything}}, "limit": 200},
        )

        nodes, edges = graph(api, run)
        assert nodes == {("task-run", step, "COMPLETED") for step in steps} | {
            ("flow-run", flow, "COMPLETED") for flow in flows
        }
        assert {
            ("merge / merge", "verify candidate"),
            ("verify candidate", "heal / heal round 1"),
            ("heal / heal round 1", "verify round-1"),
            ("verify round-1", "land"),
        } <= edges
        assert graph(api, execute) == ({("task-run", str(task["id"]), "COMPLETED") for task in TASKS}, EDGES)
        counts = {row["name"]: row["run_count"] for row in rows if row["flow_run_id"] == execute}
        assert counts == {**{str(task["id"]): 1 for task in TASKS}, "prices": 2}
        assert "heal readme" in {row["name"] for row in rows}

        logs = api.rows("logs", {"logs": {"flow_run_id": {"any_": everything}}, "limit": 200})
    said = set(re.findall(r"^\d\d:\d\d:\d\d (.+)$", ended.stderr, re.MULTILINE))
    assert len(said) > len(TASKS)
    assert said - {str(log["message"]) for log in logs} == set(), "what the terminal says is in the logs as well"
