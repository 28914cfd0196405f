"""What a run is about to do, said before anything is spent: plan, agents, tests, target, cap, and what to know."""

from collections.abc import Iterator, Mapping

from graftline.planning.preview import Preview, preview_of
from graftline.planning.prospects import prospects_here
from graftline.preflight import Checked
from graftline.report.preview_text import preview_lines
from graftline.report.wording import labelled, money
from graftline.settings import CostSettings


async def preview_run(checked: Checked, environ: Mapping[str, str]) -> Preview | None:
    """The preview of the plan that a run is given; None when it has yet to be made."""
    if checked.manifest is None:
        return None
    plan, commit = checked.manifest.plan, checked.target.commit
    prospects = await prospects_here(plan, checked.settings, checked.repository, commit, environ)
    return preview_of(plan, prospects=prospects, notes=checked.manifest.notes)


def describe_run(checked: Checked, preview: Preview | None) -> Iterator[str]:
    """All of it, a line each."""
    settings = checked.settings
    if preview is not None:
        yield from preview_lines(preview)
    else:
        yield labelled("Plan", "made by the planner, and shown before an agent starts")
        yield labelled("Planner", str(checked.planner))
    for probe in checked.probes:
        version = f" {probe.version}" if probe.version else ""
        yield labelled("Agent", f"{probe.backend}{version} ({probe.binary})")
        yield from (labelled("Note", note) for note in probe.notes)
    yield labelled("Tests", _tests_of(checked))
    landing = "moves when the tests are green" if settings.git.land == "auto" else "stays; a branch gets the result"
    yield labelled("Target", f"{checked.target.branch} at {checked.target.commit[:12]}, which {landing}")
    yield labelled("Cap", describe_caps(settings.cost))
    plan_notes = preview.notes if preview is not None else ()
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
