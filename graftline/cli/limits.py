"""The limits of a run as flags of the command line."""

from pydantic import ValidationError

from graftline.errors import UserError
from graftline.request import RequestLimits

FLAGS = {
    "max_concurrent": "--agents",
    "max_cost_usd": "--max-cost",
    "task_timeout_seconds": "--task-timeout",
    "run_timeout_seconds": "--timeout",
}


def read_limits(**limits: float | None) -> RequestLimits:
    """The limits that flags give, by the names they have in a request.

    Raises:
        UserError: names each flag whose value is out of bounds.
    """
    try:
        return RequestLimits.model_validate(limits)
    except ValidationError as error:
        problems = [f"{FLAGS[str(one['loc'][-1])]} {one['input']}: {one['msg']}" for one in error.errors()]
        raise UserError("\n".join(problems)) from error
