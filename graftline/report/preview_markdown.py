"""The preview of a plan as Markdown, for `graftline plan --markdown` and for whoever approves it in Prefect's UI.

It reads well where Mermaid is not drawn, and nothing in a plan is taken as Markdown.
"""

from collections.abc import Iterator

from graftline.planning.preview import Preview
from graftline.planning.prospects import Prospects
from graftline.report.estimate_wording import cost_between, time_between
from graftline.report.markdown import bounded, code_block, escape
from graftline.report.plan_tree import plan_tree
from graftline.report.preview_wording import (
    advice_line,
    also_after,
    conflict_line,
    expectations,
    headline,
    less_likely,
    likely_conflicts,
    short_title,
)

MOST_EDGES = 400
"""Mermaid draws nothing at all beyond 500 edges."""
_CUT = "\nThis is cut here: the plan file has everything.\n"


def preview_markdown(preview: Preview) -> str:
    """The preview as Markdown of a size that Prefect's UI takes; a longer one is cut, what is told to agents first."""
    return bounded(_parts(preview), _CUT)


def _parts(preview: Preview) -> Iterator[str]:
    prospects = preview.prospects
    yield f"# {escape(headline(preview))}\n\n"
    if preview.plan.description:
        yield f"{escape(preview.plan.description, 2000)}\n\n"
    if prospects is not None:
        yield from (f"- {label}: {escape(text, 1000)}\n" for label, text in expectations(prospects))
        yield f"- Advice: {escape(advice_line(prospects), 1000)}\n\n"
    yield f"## Order\n\n{code_block(_tree(preview))}"
    yield from _tasks(preview)
    if prospects is not None:
        yield from _conflicts(prospects)
    if preview.notes:
        yield "\n## Notes\n\n"
        yield from (f"- {escape(note, 1000)}\n" for note in preview.notes)
    yield _diagram(preview)
    yield "\n## What each task is told\n"
    for spec in preview.plan.tasks:
        yield f"\n### {escape(spec.id)}\n\n{code_block(spec.prompt)}"
        if spec.acceptance:
            files = ", ".join(map(escape, spec.acceptance))
            yield f"\nAcceptance tests that no agent can change: {files}\n"


def _tree(preview: Preview) -> str:
    return "\n".join(f"{branch.guide}{branch.task}{also_after(branch)}" for branch in plan_tree(preview.graph))


def _tasks(preview: Preview) -> Iterator[str]:
    """A row per task; what nobody knows outside a repository stays empty."""
    specs = {spec.id: spec for spec in preview.plan.tasks}
    yield "\n## Tasks\n\n| Task | Title | Agent | Tier | Size | Cost | Time | Writes |\n"
    yield "|---|---|---|---|---|---|---|---|\n"
    for task in preview.order:
        spec, prospects = specs[task], preview.prospects
        agent = prospects.agents[task] if prospects else None
        expected = prospects.estimate.of(task) if prospects else None
        cells = (
            escape(task),
            escape(short_title(spec)),
            escape(agent.profile) if agent else "",
            (agent.tier if agent else spec.tier) or "",
            spec.size or "",
            cost_between(expected.cost_usd) if expected else "",
            time_between(expected.seconds) if expected else "",
            "nothing" if spec.read_only else escape(", ".join(spec.writes)),
        )
        yield f"| {' | '.join(cells)} |\n"


def _conflicts(prospects: Prospects) -> Iterator[str]:
    if not prospects.forecast.conflicts:
        return
    likely = likely_conflicts(prospects)
    yield "\n## Predicted conflicts\n\n"
    for conflict in likely:
        files = f" ({', '.join(map(escape, conflict.files[:5]))})" if conflict.files else ""
        yield f"- {escape(conflict_line(conflict), 1000)}{files}\n"
    if len(likely) < len(prospects.forecast.conflicts):
        yield f"- {less_likely(len(likely))}\n"


def _diagram(preview: Preview) -> str:
    """Tasks by number, since `end` and the like mean something to Mermaid; a dotted line waits without depending."""
    graph = preview.graph
    numbers = {task: number for number, task in enumerate(graph.order)}
    edges = [
        f"  t{numbers[first]} {'-->' if first in graph.dependencies(task) else '-.->'} t{numbers[task]}"
        for task in graph.order
        for first in graph.waits_for(task)
    ]
    if len(edges) > MOST_EDGES:
        return ""
    nodes = [f'  t{number}["{task}"]' for task, number in numbers.items()]
    return "\n## Diagram\n\n" + "\n".join(["```mermaid", "flowchart LR", *nodes, *edges, "```"]) + "\n"
