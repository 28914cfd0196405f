"""What holds for every plan patch: it is refused, or it keeps what is finished and what is to be proven."""

from hypothesis import event, given, settings
from hypothesis import strategies as st

from graftline.errors import ManifestError
from graftline.patch import Add, Cancel, Operation, Patched, PlanPatch, ReEdge, Split, apply_patch
from graftline.plan import Plan, TaskSpec, graph_of, overlap_of
from graftline.plan_diff import describe_patch

IDS = [*"abcde"]
WRITES = [("src/a.py",), ("src/b.py",), ("src",), ("docs/*.md",), ("docs/x.md", "src/a.py"), ("e",), ("f",), ()]
Change = tuple[Plan, frozenset[str], PlanPatch]


@st.composite
def plans(draw: st.DrawFn) -> Plan:
    tasks = []
    for place in range(draw(st.integers(1, 5))):
        earlier = st.sets(st.sampled_from(IDS[:place]), max_size=2).map(sorted).map(tuple) if place else st.just(())
        tasks.append(
            TaskSpec(
                id=IDS[place],
                prompt=f"do {IDS[place]}",
                depends_on=draw(earlier),
                after=draw(earlier),
                writes=draw(st.sampled_from(WRITES)),
                priority=draw(st.sampled_from([0, 0, 1])),
                tests=draw(st.sampled_from([(), (), ("tests/one.py",)])),
                acceptance={f"tests/test_{place}.py": f"def test(): {place}"} if draw(st.booleans()) else {},
            )
        )
    return Plan(tasks=tuple(draw(st.permutations(tasks))))


@st.composite
def finished_of(draw: st.DrawFn, plan: Plan) -> frozenset[str]:
    """Tasks that may be done: with each one, those it depends on."""
    chosen = draw(st.sets(st.sampled_from([task.id for task in plan.tasks])))
    graph = graph_of(plan)
    return frozenset(chosen.union(*(graph.ancestors(task) for task in chosen)))


@st.composite
def operations(draw: st.DrawFn, plan: Plan, left: list[TaskSpec], number: int) -> Operation:
    ids = [task.id for task in plan.tasks]
    spec = draw(st.sampled_from(left))
    some = st.sets(st.sampled_from(ids), max_size=2).map(sorted).map(tuple)
    mistaken = draw(st.integers(0, 4)) == 0  # some leave out what they should say, or say what they should not
    match draw(st.sampled_from(["add", "split", "split", "cancel", "re-edge"])):
        case "add":
            name = draw(st.sampled_from(ids)) if mistaken else f"n{number}"
            writes = draw(st.sampled_from([(f"new/{number}",), *WRITES]))
            return Add(task=TaskSpec(id=name, prompt="more", writes=writes, depends_on=draw(some)))
        case "split":
            last = {} if mistaken else {"acceptance": spec.acceptance, "tests": spec.tests}
            first = TaskSpec(id=f"n{number}-1", prompt="begin", writes=(f"new/{number}",))
            chained = (first.id,) if draw(st.booleans()) else ()
            writes = draw(st.sampled_from([spec.writes, *WRITES]))
            second = TaskSpec(id=f"n{number}-2", prompt="end", writes=writes, depends_on=chained)
            return Split(task=spec.id, into=(first, second.model_copy(update=last)))
        case "cancel":
            heir = None if mistaken else draw(st.sampled_from(left)).id
            return Cancel(task=spec.id, why="not needed", heir=heir)
        case _:
            return ReEdge(task=spec.id, depends_on=draw(st.none() | some), after=draw(st.none() | some))


@st.composite
def changes(draw: st.DrawFn) -> Change:
    plan = draw(plans())
    finished = draw(finished_of(plan))
    left = [task for task in plan.tasks if task.id not in finished] or list(plan.tasks)
    wanted = [draw(operations(plan, left, number)) for number in range(draw(st.integers(1, 2)))]
    return plan, finished, PlanPatch(reason="it failed", operations=tuple(wanted))


@settings(deadline=None, max_examples=400)
@given(changes())
def test_a_patch_is_refused_or_keeps_every_promise(change: Change) -> None:
    plan, finished, patch = change
    try:
        patched = apply_patch(plan, patch, finished)
    except ManifestError as error:
        refused = error
        event("refused")
        assert 0 < len(refused.problems) == len(set(refused.problems))
        return
    after = patched.plan
    event(f"applied {', '.join(sorted({operation.kind for operation in patch.operations}))}")
    assert Plan.model_validate(after.model_dump()) == after
    old, new = graph_of(plan), graph_of(after)
    now = {task.id: task for task in after.tasks}
    assert patched.removed.keys() == {task.id for task in plan.tasks} - now.keys()
    # Finished tasks are what they were, and were made from the very same work as before, and from nothing else.
    for done in finished:
        assert now[done].model_copy(update={"after": plan.task(done).after}) == plan.task(done)
        assert set(new.predecessors(done)) == set(old.predecessors(done)) & finished
    # What has yet to be done starts from the finished work whose files it may change.
    for task in now.keys() - finished:
        assert {done for done in finished if overlap_of(now[task], now[done])} <= set(new.predecessors(task))
    # No criterion is lost or changed, and each acceptance file is one task's.
    files, new_files = ({k: v for task in each.tasks for k, v in task.acceptance.items()} for each in (plan, after))
    assert files.items() <= new_files.items()
    assert sum(len(task.acceptance) for task in after.tasks) == len(new_files)
    assert {test for task in plan.tasks for test in task.tests} <= {test for task in after.tasks for test in task.tests}
    # The diff says it all, and nothing when there is nothing to say.
    lines = describe_patch(plan, after)
    assert bool(lines) == (after != plan)
    assert {line[2:].split(":")[0] for line in lines if line.startswith("- ")} == patched.removed.keys()
    assert {line[2:].split(";")[0] for line in lines if line.startswith("+ ")} == now.keys() - set(old.order)
    assert describe_patch(after, after) == ()


@settings(deadline=None, max_examples=50)
@given(st.data(), plans())
def test_a_patch_of_nothing_changes_nothing(data: st.DataObject, plan: Plan) -> None:
    finished = data.draw(finished_of(plan))
    assert apply_patch(plan, PlanPatch(reason="no idea", operations=()), finished) == Patched(plan, {})
