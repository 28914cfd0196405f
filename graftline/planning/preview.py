"""What a person sees of a plan before it is paid for: its tasks, who does them, what they may cost, and what may clash.

The model is the JSON of `graftline plan --json`; `graftline.report.preview_text` and `preview_markdown` show it.
"""

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from graftline.plan import Graph, Plan, graph_of
from graftline.planning.prospects import Part, Prospects


class Preview(Part):
    """A plan, and what is to be expected of it."""

    plan: Plan
    order: tuple[str, ...] = Field(description="The tasks in the order in which their work is put together")
    by: Literal["planner", "request"] = Field(description="Whether the planner made the plan or it was given")
    prospects: Prospects | None = Field(description="null: there is no repository, so nobody knows who does the tasks")
    notes: tuple[str, ...] = Field(description="What else a person should know")

    @property
    def graph(self) -> Graph:
        """The shape of the plan."""
        return graph_of(self.plan)


def preview_of(
    plan: Plan,
    *,
    by: Literal["planner", "request"] = "request",
    prospects: Prospects | None = None,
    notes: Sequence[str] = (),
) -> Preview:
    """The preview of a plan."""
    return Preview(plan=plan, order=graph_of(plan).order, by=by, prospects=prospects, notes=tuple(notes))
