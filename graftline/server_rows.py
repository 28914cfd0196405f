"""Waits until a Prefect server has recorded what runs reported to it: what is still queued when it stops is lost."""

import http.client
from datetime import UTC, datetime, timedelta

import anyio
from pydantic import JsonValue

from graftline.server_folder import Address
from graftline.server_process import request_json

CATCH_UP_SECONDS = 10.0
CATCH_UP_POLL_SECONDS = 0.5
STANDSTILL_POLLS = 6
RECENT = timedelta(minutes=10)
UNFINISHED = ("Scheduled", "Pending", "Running", "Retrying", "AwaitingRetry")


async def wait_for_rows(address: Address) -> None:
    """Wait, within bounds, until the rows of runs that ended lately no longer change.

    The server records task runs from events, after the run has moved on.
    Rows that nobody will ever finish (a killed run's) do not hold it up: no change for a while is enough.
    """
    ended: JsonValue = {"end_time": {"after_": (datetime.now(UTC) - RECENT).isoformat()}}
    unfinished: JsonValue = {"state": {"name": {"any_": list(UNFINISHED)}}}
    running: JsonValue = {"state": {"name": {"any_": ["Running"]}}}

    def count() -> tuple[JsonValue, ...]:
        if request_json(address, "POST", "/flow_runs/count", {"flow_runs": ended}) == 0:
            return ()
        return tuple(
            request_json(address, "POST", "/task_runs/count", {"flow_runs": ended} | extra)
            for extra in ({}, {"task_runs": unfinished}, {"task_runs": running})
        )

    before: tuple[JsonValue, ...] | None = None
    unchanged = 0
    with anyio.move_on_after(CATCH_UP_SECONDS):
        while True:
            try:
                now = await anyio.to_thread.run_sync(count, abandon_on_cancel=True)
            except (OSError, http.client.HTTPException, ValueError):
                return  # it answers nobody: there is nothing to wait for
            unchanged = unchanged + 1 if now == before else 0
            if not now or (unchanged and now[1] == 0) or unchanged >= STANDSTILL_POLLS:
                return
            before = now
            await anyio.sleep(CATCH_UP_POLL_SECONDS)
