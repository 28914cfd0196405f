"""The preview of a plan, for people and for programs: complete, safe to print, and the same whoever asks."""

import json

import pytest
from hypothesis import assume, given, settings

from graftline.manifest import parse_plan
from graftline.plan import Plan, TaskSpec, graph_of
from graftline.planning.advice import Advice
from graftline.planning.conflicts import PredictedConflict
from graftline.planning.forecast import Forecast
from graftline.planning.interval import Interval
from graftline.planning.past import Past
from graftline.planning.preview import Preview, preview_of
from graftline.planning.prospects import prospects_of
from graftline.report.estimate_wording import cost_between, time_between
from graftline.report.markdown import MAXIMUM_BYTES
from graftline.report.plan_tree import DEEPEST, plan_tree
from graftline.report.preview_markdown import preview_markdown
from graftline.report.preview_text import preview_lines
from graftline.settings import Settings
from graftline.text import plain_line
from tests.report.test_report_markdown import NASTY, PARSER, shape
from tests.test_plan_properties import plans

SETTINGS = Settings.model_validate(
    {
        "agent": {"backend": "plain", "max_concurrent": 2},
        "agents": {
            "plain": {"type": "command", "command": ["true"], "cost_usd": 0.5},
            "careful": {"type": "command", "command": ["true"], "tier": "deep"},
        },
        "cost": {"max_usd": 2.5},
    }
)
PLAN = parse_plan(
    {
        "title": "Discounts",
        "tasks": [
            {
                "id": "discount",
                "title": "Discounted prices",
                "prompt": "x",
                "size": "small",
                "writes": ["a.py", "b"],
            },
            {"id": "quote", "prompt": "Quotes", "depends_on": ["discount"], "writes": ["q.py"]},
            {"id": "readme", "prompt": "Document it", "writes": ["README.md"]},
            {"id": "review", "prompt": "Look", "depends_on": ["readme", "quote"], "read_only": True},
        ],
    }
).plan
CONFLICTS = (
    PredictedConflict("quote", "readme", 0.234, "both change shop/cart.py", ("shop/cart.py",)),
    PredictedConflict("discount", "readme", 0.01, "nothing is known", ()),
)


def preview(plan: Plan = PLAN, text: str = "workers would do", **settings: object) -> Preview:
    """The preview of a plan, with foreign text where others give it."""
    chosen = SETTINGS.model_copy(update=settings)
    prospects = prospects_of(plan, chosen, Past(), conflicts=CONFLICTS if plan is PLAN else ())
    forecast = prospects.forecast.model_copy(update={"advice": Advice("workers", 2, text)})
    prospects = prospects.model_copy(update={"forecast": forecast})
    return preview_of(plan, prospects=prospects, notes=[text])


def test_a_plan_is_shown_as_a_tree_and_a_table_with_what_is_expected_of_it() -> None:
    assert list(preview_lines(preview())) == [
        "Plan    Discounts: 4 tasks",
        "  discount      Discounted prices",
        "  └─ quote      Quotes",
        "     └─ review  Look (also after readme)",
        "  readme        Document it",
        "  Task      Agent  Size   Cost            Time            Writes",
        "  discount  plain  small  $0.50 to $1.00  30 s to 10 min  a.py, b",
        "  quote     plain         $0.50 to $1.00  60 s to 20 min  q.py",
        "  readme    plain         $0.50 to $1.00  60 s to 20 min  README.md",
        "  review    plain         $0.50 to $1.00  60 s to 20 min  nothing",
        "Cost    $2.00 to $3.00; the cap of $2.50 may cut the run short",
        "Time    5 to 64 min",
        "Basis   prior: no runs of this repository yet; a call of plain costs $0.50 (80% intervals)",
        "Path    discount, quote, review: the chain that takes longest",
        "At once 2 agents, of 2 that are allowed",
        "Risk    23% that quote and readme collide: both change shop/cart.py",
        "Risk    less for each other pair of tasks that may be at work at the same time",
        "Advice  2 workers: workers would do",
        "Note    workers would do",
    ]


def test_what_nobody_knows_outside_a_repository_is_left_out() -> None:
    lines = list(preview_lines(preview_of(PLAN)))

    assert len(lines) == 1 + len(PLAN.tasks)
    assert "| discount | Discounted prices |  |  | small |  |  | a.py, b |" in preview_markdown(preview_of(PLAN))


@pytest.mark.parametrize(
    ("max_usd", "said"),
    [
        (10, "$2.00 to $3.00, within the cap of $10.00"),
        (1, "$2.00 to $3.00: more than the cap of $1.00, which is expected to cut the run short"),
    ],
)
def test_the_cost_is_held_against_the_cap(max_usd: float, said: str) -> None:
    lines = list(preview_lines(preview(cost=SETTINGS.cost.model_copy(update={"max_usd": max_usd}))))

    assert f"Cost    {said}" in lines


def test_an_unknown_cost_is_said_to_be_unknown_with_what_is_known_beside_it() -> None:
    tasks = (TaskSpec(id="a", prompt="x", agent="careful"), TaskSpec(id="b", prompt="x"))
    lines = list(preview_lines(preview(Plan(tasks=tasks))))

    assert "Cost    unknown; what is known comes to $0.50 to $1.00; the cap is $2.50" in lines
    assert "  a     careful (deep)  unknown         60 s to 20 min" in lines
    assert "Cost    unknown; the cap is $2.50" in list(preview_lines(preview(Plan(tasks=tasks[:1]))))


@pytest.mark.parametrize(
    ("low", "high", "said"),
    [(4, 9, "4 to 9 s"), (30, 600, "30 s to 10 min"), (120, 130, "2 min"), (600, 9000, "10 min to 2 h"), (0, 0, "0 s")],
)
def test_times_do_not_claim_to_be_exact(low: float, high: float, said: str) -> None:
    assert time_between(Interval(low=low, high=high)) == said


def test_an_interval_of_money_that_is_known_is_one_amount() -> None:
    assert [cost_between(each) for each in (None, Interval(low=0, high=0), Interval(low=0.001, high=2))] == [
        "unknown",
        "$0.00",
        "$0.0010 to $2.00",
    ]


@settings(deadline=None, max_examples=40)
@given(plans(most_tasks=7))
def test_every_task_is_once_in_the_tree_below_one_that_it_waits_for(plan: Plan) -> None:
    graph = graph_of(plan)
    above: list[str] = []
    seen: list[str] = []
    for branch in plan_tree(graph):
        depth = len(branch.guide) // 3
        above = [*above[:depth], branch.task]
        assert set(branch.also_after) == set(graph.waits_for(branch.task)) - set(above[-2:-1])
        assert not depth or above[-2] in graph.waits_for(branch.task)
        seen.append(branch.task)
    assert sorted(seen) == sorted(graph.order)


def test_a_long_chain_is_not_indented_out_of_sight() -> None:
    chain = tuple(TaskSpec(id=f"t{n}", prompt="x", depends_on=(f"t{n - 1}",) if n else ()) for n in range(300))
    branches = list(plan_tree(graph_of(Plan(tasks=chain))))

    assert [branch.task for branch in branches] == [task.id for task in chain]
    assert max(len(branch.guide) for branch in branches) < 3 * DEEPEST
    assert branches[-1].also_after == ("t298",)


HARMLESS = preview()


@settings(deadline=None)
@given(foreign=NASTY.map(lambda text: text.encode("utf-8", "replace").decode()))
def test_nothing_foreign_steers_a_terminal_or_becomes_markdown(foreign: str) -> None:
    assume(plain_line(foreign, 50))

    def made(text: str) -> Preview:
        assert HARMLESS.prospects is not None
        conflict = PredictedConflict("quote", "readme", 0.5, text, (text,))
        forecast = Forecast(advice=Advice("workers", 2, text), conflicts=(conflict,))
        tasks = tuple(task.model_copy(update={"title": "", "prompt": text}) for task in PLAN.tasks)
        plan = PLAN.model_copy(update={"description": text, "tasks": tasks})
        prospects = HARMLESS.prospects.model_copy(update={"forecast": forecast})
        return HARMLESS.model_copy(update={"plan": plan, "prospects": prospects, "notes": (text,)})

    lines = list(preview_lines(made(foreign)))
    assert len(lines) == len(list(preview_lines(made("x"))))
    assert not {each for line in lines for each in line if each < " "}
    assert shape(PARSER.parse(preview_markdown(made(foreign)))) == shape(PARSER.parse(preview_markdown(made("x"))))


def test_markdown_reads_well_where_mermaid_is_not_drawn_and_draws_where_it_is() -> None:
    markdown = preview_markdown(preview())

    assert markdown.startswith("# Discounts: 4 tasks\n\n- Cost: $2.00 to $3.00; the cap of $2.50 may cut")
    assert "```text\ndiscount\n└─ quote\n   └─ review (also after readme)\nreadme\n```" in markdown
    assert "- 23% that quote and readme collide: both change shop/cart.py (shop/cart.py)\n" in markdown
    assert '```mermaid\nflowchart LR\n  t0["discount"]\n' in markdown
    assert "  t0 --> t1\n" in markdown
    assert "### quote\n\n```text\nQuotes\n```\n" in markdown


def test_a_plan_of_any_size_stays_within_what_prefect_shows() -> None:
    tasks = tuple(
        TaskSpec(id=f"t{n}", prompt="é" * 3000, depends_on=(f"t{n - 1}", "t0") if n > 1 else ()) for n in range(300)
    )
    markdown = preview_markdown(preview_of(Plan(tasks=tasks)))

    assert len(markdown.encode()) <= MAXIMUM_BYTES
    assert markdown.endswith("This is cut here: the plan file has everything.\n")
    assert "mermaid" not in markdown, "Mermaid refuses to draw so many edges"


def test_a_preview_survives_as_json() -> None:
    text = preview().model_dump_json()

    assert Preview.model_validate_json(text) == preview()
    assert json.loads(text)["prospects"]["estimate"]["confidence"] == 0.8
