"""What holds for every plan: spellings round-trip, the order is valid and stable, overlapping writes are ordered."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from graftline.agents.tiers import TIERS
from graftline.errors import ManifestError
from graftline.manifest import Spelling, dump_manifest, parse_manifest, parse_plan
from graftline.paths import may_overlap
from graftline.plan import Graph, Plan, TaskSpec, graph_of

any_text = st.text(st.characters(codec="utf-8"), max_size=60)
# Pieces that mean something in one of the spellings, so that a prompt often looks like the file around it.
pieces = st.sampled_from(
    [
        "## a\n",
        "```\n",
        "~~~~ py",
        "---\n",
        "\n",
        "\r\n",
        "  ",
        "\t",
        "# x",
        ": ",
        "- a",
        "'",
        '"',
        "\\",
        "\x85",
        "é",
        "🙂",
        "w",
    ]
)
prompts = st.one_of(any_text, st.lists(pieces, max_size=8).map("".join)).filter(str.strip)
one_lines = st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Cs", "Zl", "Zp")), max_size=20)
identifiers = st.one_of(
    st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,6}", fullmatch=True), st.sampled_from(["yes", "no", "1", "null", "1e3"])
)
patterns = st.from_regex(r"[ab*]{1,2}(/[ab]{1,2}){0,2}", fullmatch=True)
variables = st.dictionaries(st.from_regex(r"[A-Za-z_]{1,3}", fullmatch=True), one_lines, max_size=2)


@st.composite
def plans(draw: st.DrawFn, *, most_tasks: int = 6) -> Plan:
    ids = draw(st.lists(identifiers, min_size=1, max_size=most_tasks, unique_by=str.casefold))
    tasks = []
    for position, task_id in enumerate(ids):
        read_only = draw(st.booleans())
        tasks.append(
            TaskSpec(
                id=task_id,
                prompt=draw(prompts),
                title=draw(one_lines),
                depends_on=tuple(draw(st.lists(st.sampled_from(ids[:position]), max_size=3))) if position else (),
                after=tuple(draw(st.lists(st.sampled_from(ids[:position]), max_size=2))) if position else (),
                writes=() if read_only else tuple(draw(st.lists(patterns, max_size=2))),
                read_only=read_only,
                tier=draw(st.none() | st.sampled_from(TIERS)),
                labels=tuple(draw(st.lists(st.sampled_from(["docs", "1", "null", "größe"]), max_size=2))),
                priority=draw(st.integers(-2, 2)),
                timeout_seconds=draw(st.none() | st.floats(0.5, 1e9)),
                max_retries=draw(st.none() | st.integers(0, 9)),
                acceptance=draw(st.dictionaries(st.sampled_from(["tests/a.py", "b c.py"]), any_text, max_size=1)),
                env=draw(variables),
            )
        )
    return Plan(title=draw(one_lines), description=draw(any_text), tasks=tuple(draw(st.permutations(tasks))))


def plan_that_says(prompt: str) -> Plan:
    return Plan(tasks=(TaskSpec(id="a", prompt=prompt),))


@example(plan_that_says("## 0\x85"), "yaml")
@example(plan_that_says("ends in a space \n"), "yaml")
@example(plan_that_says("\n begins with none"), "yaml")
@example(plan_that_says("\r\nWindows\r\n"), "markdown")
@example(plan_that_says("```\nleft open"), "markdown")
@example(plan_that_says("## a"), "markdown")
@settings(deadline=None, max_examples=60)
@given(plans(), st.sampled_from(["markdown", "yaml", "json"]))
def test_any_plan_round_trips_through_every_spelling(plan: Plan, spelling: Spelling) -> None:
    text = dump_manifest(plan, spelling)
    assert parse_manifest(text, file="plan", spelling=spelling).plan == plan


def reaches(graph: Graph, start: str, end: str) -> bool:
    return start == end or any(reaches(graph, start, before) for before in graph.waits_for(end))


@settings(deadline=None, max_examples=60)
@given(plans(most_tasks=7))
def test_no_two_unordered_tasks_have_overlapping_writes(plan: Plan) -> None:
    graph = graph_of(plan)
    for one in plan.tasks:
        for other in plan.tasks:
            if one.id != other.id and any(may_overlap(a, b) for a in one.writes for b in other.writes):
                assert reaches(graph, one.id, other.id) or reaches(graph, other.id, one.id)


@settings(deadline=None, max_examples=60)
@given(plans(most_tasks=7))
def test_orderings_only_join_what_nothing_else_orders(plan: Plan) -> None:
    graph = graph_of(plan)
    for ordering in graph.orderings:
        others = tuple(other for other in graph.orderings if other is not ordering)
        without = Graph(plan, others, graph.order)
        assert not reaches(without, ordering.first, ordering.second)
        assert not reaches(without, ordering.second, ordering.first)


edges = st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd"), st.booleans()), max_size=6)


@settings(deadline=None, max_examples=60)
@given(edges)
def test_a_plan_is_refused_exactly_when_some_task_would_wait_for_itself(edges: list[tuple[str, str, bool]]) -> None:
    named: dict[tuple[str, bool], list[str]] = {(task_id, key): [] for task_id in "abcd" for key in (True, False)}
    for task_id, other, is_dependency in edges:
        named[task_id, is_dependency].append(other)
    tasks = [
        {"id": task_id, "prompt": "p", "depends_on": named[task_id, True], "after": named[task_id, False]}
        for task_id in "abcd"
    ]
    reached = {(task_id, other) for task_id, other, _ in edges}
    for middle in "abcd":
        reached |= {(one, two) for one, at in reached if at == middle for of, two in reached if of == middle}
    if any((task_id, task_id) in reached for task_id in "abcd"):
        with pytest.raises(ManifestError):
            parse_plan({"tasks": tasks})
    else:
        graph = parse_plan({"tasks": tasks}).graph
        assert {(one, two) for one in "abcd" for two in graph.predecessors(one)} == reached


@settings(deadline=None, max_examples=60)
@given(plans(most_tasks=7))
def test_order_is_topological_and_a_function_of_the_plan(plan: Plan) -> None:
    graph = graph_of(plan)
    assert sorted(graph.order) == sorted(task.id for task in plan.tasks)
    assert all(
        graph.order.index(before) < graph.order.index(task_id)
        for task_id in graph.order
        for before in graph.waits_for(task_id)
    )
    shuffled = tuple(task.model_copy(update={"depends_on": tuple(reversed(task.depends_on))}) for task in plan.tasks)
    assert graph_of(Plan(tasks=shuffled)).order == graph.order


@settings(deadline=None, max_examples=60)
@given(plans(most_tasks=7))
def test_ready_task_of_higher_precedence_is_never_overtaken(plan: Plan) -> None:
    graph = graph_of(plan)
    rank = {task.id: (-task.priority, place) for place, task in enumerate(plan.tasks)}
    for position, chosen in enumerate(graph.order):
        done = set(graph.order[:position])
        ready = [t for t in graph.order[position:] if set(graph.waits_for(t)) <= done]
        assert chosen == min(ready, key=rank.__getitem__)
