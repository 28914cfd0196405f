"""What a test asks a Prefect server over its REST API, as other systems do."""

import json
from dataclasses import dataclass
from http import HTTPStatus
from time import monotonic, sleep
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

from pydantic import JsonValue

Row = dict[str, JsonValue]
BUSY_SECONDS = 30.0
"""How long a server on SQLite may say that another one is writing."""
FINAL = frozenset({"COMPLETED", "FAILED", "CRASHED", "CANCELLED"})


@dataclass(frozen=True)
class PrefectApi:
    """A Prefect server's REST API."""

    url: str

    def ask(self, path: str, body: JsonValue = None) -> JsonValue:
        """The answer to a GET, or to a POST when there is a body."""
        data = None if body is None else json.dumps(body).encode()
        request = Request(self.url + path, data, {"Content-Type": "application/json"})  # noqa: S310 - our own server
        deadline = monotonic() + BUSY_SECONDS
        while True:
            try:
                with urlopen(request, timeout=60) as response:  # noqa: S310
                    answer: JsonValue = json.loads(response.read())
                    return answer
            except HTTPError as error:
                if error.code != HTTPStatus.SERVICE_UNAVAILABLE or monotonic() > deadline:
                    raise
                sleep(0.2)

    def is_up(self) -> bool:
        """Whether the server answers."""
        try:
            return self.ask("/health") is True
        except URLError:
            return False

    def row(self, path: str, body: JsonValue = None) -> Row:
        """An answer that is one object."""
        answer = self.ask(path, body)
        assert isinstance(answer, dict), answer
        return answer

    def rows(self, path: str, body: JsonValue) -> list[Row]:
        """An answer that is a list of objects."""
        answer = self.ask(path, body)
        assert isinstance(answer, list), answer
        return [row for row in answer if isinstance(row, dict)]

    def start_run(self, deployment: str, request: Row) -> str:
        """A new run of a deployment; its id."""
        found = self.row(f"/deployments/name/build/{deployment}")
        body: Row = {"parameters": {"request": request}, "state": {"type": "SCHEDULED"}}
        return str(self.row(f"/deployments/{found['id']}/create_flow_run", body)["id"])

    def cancel(self, run_id: str) -> None:
        """What the Cancel button of Prefect's pages sends."""
        self.ask(f"/flow_runs/{run_id}/set_state", {"state": {"type": "CANCELLING"}})

    def state_of(self, run_id: str) -> str:
        """The type of a flow run's state."""
        return str(self.row(f"/flow_runs/{run_id}")["state_type"])

    def tree_of(self, run_id: str) -> dict[str, str]:
        """The states of a flow run, its subflow runs and all their task runs, by what they are and their names."""
        states: dict[str, str] = {}
        flow_runs = [self.row(f"/flow_runs/{run_id}")]
        while flow_runs:
            ids: list[JsonValue] = [row["id"] for row in flow_runs]
            task_runs = self.rows("/task_runs/filter", {"flow_runs": {"id": {"any_": ids}}})
            for kind, rows in (("flow run", flow_runs), ("task run", task_runs)):
                states |= {f"{kind} {row['name']} {str(row['id'])[:6]}": str(row["state_type"]) for row in rows}
            flow_runs = self.rows("/flow_runs/filter", {"flow_runs": {"parent_flow_run_id": {"any_": ids}}})
        return states
