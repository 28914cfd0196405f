"""From a draft to tasks: prompts are put together, tiers are matched with the agents that there are."""

from collections.abc import Collection

from graftline.agents.tiers import TIERS, Tier, deepest, is_deeper
from graftline.plan import TaskSpec
from graftline.planning.draft import Draft, DraftTask
from graftline.planning.prompts import Templates
from graftline.settings import Settings


def configured_tiers(settings: Settings) -> tuple[Tier, ...]:
    """The tiers that an agent profile has, from the cheapest to the most capable."""
    found = {profile.tier for profile in settings.agents.values()}
    return tuple(tier for tier in TIERS if tier in found)


def compose_task(task: DraftTask, templates: Templates, tiers: Collection[Tier]) -> TaskSpec:
    """A drafted task as one that an agent can be given, by an agent that there is."""
    acceptance = {test.path: test.content for test in task.acceptance}
    return TaskSpec(
        id=task.id,
        title=task.title,
        prompt=templates.render("task", task=task.model_dump(mode="json")),
        depends_on=tuple(dict.fromkeys(need.task for need in task.depends_on)),
        writes=tuple(dict.fromkeys(task.writes)),
        read_only=task.read_only,
        tier=_nearest_tier(task.tier, tiers),
        size=task.size,
        tests=tuple(dict.fromkeys((*acceptance, *task.tests))),
        acceptance=acceptance,
    )


def draft_notes(draft: Draft) -> tuple[str, ...]:
    """What a person should know of a draft before it is carried out, although nothing is wrong with it."""
    return tuple(
        f"task {task.id!r} has no acceptance test: {_reason(task)}" for task in draft.tasks if _is_untested(task)
    )


def _is_untested(task: DraftTask) -> bool:
    return not task.read_only and not task.acceptance


def _reason(task: DraftTask) -> str:
    return task.untested.strip() or f"existing tests tell when it is done ({', '.join(task.tests)})"


def _nearest_tier(wanted: Tier, tiers: Collection[Tier]) -> Tier | None:
    """The tier itself or the next deeper one that there is, else the deepest; None where no agent has one."""
    able = (tier for tier in TIERS if tier in tiers and not is_deeper(wanted, tier))
    return next(able, deepest(tiers))
