"""Asking a model that plans: every call is paid for, every answer kept, and no answer is paid for twice."""

from collections.abc import Awaitable, Callable
from pathlib import Path

from graftline.payment import Payer
from graftline.planning.provider import Answer, Provider, Question

Ask = Callable[[Question], Awaitable[Answer]]
"""Gives the answer to a question.

Raises:
    PlannerError: no money is left under a cap; or, as PlannerUnavailableError, nobody answers.
"""


def asking(payer: Payer, provider: Provider, folder: Path) -> Ask:
    """A way to ask a provider at a payer's cost; `folder` keeps the answers.

    A question that was answered before, also to a process that was killed right then, gets that answer again, unpaid.
    One at a time for each payer: what a dead process left open in the books is closed first.
    """
    raise NotImplementedError
