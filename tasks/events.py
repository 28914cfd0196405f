"""Events on the Prefect server, which automations can react to."""

from collections.abc import Callable

from prefect.events import emit_event

from graftline.journal import Entry, EventKind

COST_WARNING = "graftline.cost.warning"


def emitting(run_id: str) -> Callable[[Entry], None]:
    """What listens to a run's journal and tells the server of what somebody may want to act on at once.

    Prefect adds the flow run and its deployment to the event, and sends it from a thread of its own.
    """

    def emit(entry: Entry) -> None:
        if entry.event is EventKind.COST_WARNING:
            resource = {"prefect.resource.id": f"graftline.run.{run_id}", "prefect.resource.role": "graftline-run"}
            emit_event(COST_WARNING, resource=resource, occurred=entry.at, payload=dict(entry.data))

    return emit
