"""What a run is about to do, said before anything is spent: plan, agents, tests, target, cap, and what to know."""

from collections.abc import Iterator, Mapping

from graftline.agents.routing import Agent, route_of
from graftline.manifest import Manifest
from graftline.preflight import Checked
from graftline.report.wording import money
from graftline.settings import CostSettings, Settings
from graftline.text import plain_line

LABEL_CHARACTERS = 8
TITLE_CHARACTERS = 80


def describe_plan(manifest: Manifest, settings: Settings | None) -> Iterator[str]:
    """The title, a line per task in the order in which their work is put together, and the notes.

    With settings, also who does each task, unless one agent without a tier does them all, and who comes after a failed
    attempt. Raises SettingsError when a task asks for an agent or a tier that there is not.
    """
    plan = manifest.plan
    count = "1 task" if len(plan.tasks) == 1 else f"{len(plan.tasks)} tasks"
    yield labelled("Plan", f"{plain_line(plan.title or 'untitled', TITLE_CHARACTERS)}: {count}")
    after = {task: ", ".join(manifest.graph.waits_for(task)) for task in manifest.graph.order}
    routes = {task: route_of(settings, plan.task(task)) for task in after} if settings else {}
    who = _who(routes)
    width, after_width, who_width = (max(map(len, each), default=0) for each in (after, after.values(), who.values()))
    for task, before in after.items():
        spec = plan.task(task)
        waits = f"after {before:{after_width}}" if before else " " * (after_width + len("after "))
        given_to = f"  {who[task]:{who_width}}" if who else ""
        title = plain_line(spec.title or spec.prompt, TITLE_CHARACTERS)
        yield f"  {task:{width}}  {waits}{given_to}  {title}".rstrip()
    if deeper := max((route[1:] for route in routes.values()), key=len, default=()):
        names = ", ".join(map(str, deeper))
        yield labelled("Retries", f"after a failed attempt, by the next deeper of {names}")
    yield from (labelled("Note", note) for note in manifest.notes)


def _who(routes: Mapping[str, tuple[Agent, ...]]) -> dict[str, str]:
    """The agent each task is given to first; nothing when there is nothing to tell apart."""
    first = {task: route[0] for task, route in routes.items()}
    if len({agent.profile for agent in first.values()}) < 2 and not any(agent.tier for agent in first.values()):
        return {}
    return {task: plain_line(str(agent), TITLE_CHARACTERS) for task, agent in first.items()}


def describe_run(checked: Checked) -> Iterator[str]:
    """All of it, a line each."""
    settings = checked.settings
    if checked.manifest is not None:
        yield from describe_plan(checked.manifest, settings)
    else:
        yield labelled("Plan", "made by the planner")
    for probe in checked.probes:
        version = f" {probe.version}" if probe.version else ""
        yield labelled("Agent", f"{probe.backend}{version} ({probe.binary})")
        yield from (labelled("Note", note) for note in probe.notes)
    yield labelled("At once", f"{settings.agent.max_concurrent} agents at most")
    yield labelled("Tests", _tests_of(checked))
    landing = "moves when the tests are green" if settings.git.land == "auto" else "stays; a branch gets the result"
    yield labelled("Target", f"{checked.target.branch} at {checked.target.commit[:12]}, which {landing}")
    yield labelled("Cap", describe_caps(settings.cost))
    plan_notes = checked.manifest.notes if checked.manifest is not None else ()
    yield from (labelled("Note", note) for note in checked.notes if note not in plan_notes)


def describe_caps(cost: CostSettings) -> str:
    """The caps that are set, the run's first."""
    others = {"a task": cost.task_usd, "a day": cost.day_usd, "the deployment": cost.deployment_usd}
    return "".join(
        [money(cost.max_usd), *(f", {money(usd)} for {what}" for what, usd in others.items() if usd is not None)]
    )


def _tests_of(checked: Checked) -> str:
    if checked.test_command is None:
        return 'none: the result lands untested ([test] runner = "none")'
    return " ".join(checked.test_command.argv)


def labelled(label: str, text: str) -> str:
    """A line of such an overview; text of a plan in it stays one line and steers no terminal."""
    return f"{label:{LABEL_CHARACTERS}}{plain_line(text, 1000)}"
