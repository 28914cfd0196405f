"""Plan patches: what each operation does to a plan, what is refused, and how a change reads."""

import pytest
from pydantic import ValidationError

from graftline.errors import ManifestError
from graftline.patch import (
    LARGEST_PATCH_CHARACTERS,
    MOST_NEW_TASKS,
    Add,
    Cancel,
    Operation,
    PlanPatch,
    ReEdge,
    Split,
    apply_edit,
    apply_patch,
)
from graftline.plan import Plan, TaskSpec, graph_of
from graftline.plan_diff import describe_patch, diff_markdown


def task(task_id: str, *needed: str, **fields: object) -> TaskSpec:
    """A task that depends on the named ones and writes a file of its own."""
    given = {"id": task_id, "prompt": f"do {task_id}", "depends_on": needed, "writes": (f"{task_id}.py",), **fields}
    return TaskSpec.model_validate(given)


def patch(*operations: Operation) -> PlanPatch:
    return PlanPatch(reason="parser failed twice", operations=operations)


PLAN = Plan(
    title="A language",
    tasks=(
        task("lexer"),
        task("parser", "lexer", acceptance={"tests/test_parser.py": "parse"}, tests=("tests/test_syntax.py",)),
        task("docs", "parser", after=("lexer",)),
        task("cli", after=("parser",)),
    ),
)
PARTS = (
    task("grammar", tests=("tests/test_syntax.py",)),
    task("tree", "grammar", writes=("parser.py",), acceptance={"tests/test_parser.py": "parse"}),
    task("errors", "grammar"),
)


def test_a_split_hands_edges_on_in_both_directions() -> None:
    patched = apply_patch(PLAN, patch(Split(task="parser", into=PARTS)), {"lexer"})
    grammar, tree, errors = PARTS
    assert patched.removed == {"parser": "replaced by grammar and tree and errors"}
    assert patched.plan.tasks == (
        task("lexer"),
        grammar.model_copy(update={"depends_on": ("lexer",)}),
        tree,
        errors,
        task("docs", "tree", "errors", after=("lexer",)),
        task("cli", after=("tree", "errors")),
    )
    assert describe_patch(PLAN, patched.plan) == (
        "- parser",
        "+ grammar; depends_on: lexer; writes: grammar.py; tests: tests/test_syntax.py",
        "+ tree; depends_on: grammar; writes: parser.py; acceptance: tests/test_parser.py",
        "+ errors; depends_on: grammar; writes: errors.py",
        "~ docs: depends_on: parser -> tree, errors",
        "~ cli: after: parser -> tree, errors",
    )


def test_a_cancelled_task_hands_its_criteria_to_its_heir_and_its_dependents_are_re_edged() -> None:
    operations = (Cancel(task="parser", why="the lexer does it all", heir="docs"), ReEdge(task="docs", depends_on=()))
    patched = apply_patch(PLAN, patch(*operations), {"lexer"})
    assert patched.removed == {"parser": "cancelled: the lexer does it all"}
    docs = patched.plan.task("docs")
    assert (docs.acceptance, docs.tests) == ({"tests/test_parser.py": "parse"}, ("tests/test_syntax.py",))
    assert (docs.depends_on, docs.after, patched.plan.task("cli").after) == ((), ("lexer",), ())
    assert describe_patch(PLAN, patched.plan) == (
        "- parser",
        "~ docs: depends_on: parser -> nothing; tests: nothing -> tests/test_syntax.py; "
        "acceptance: +tests/test_parser.py",
        "~ cli: after: parser -> nothing",
    )


def test_what_is_finished_goes_before_what_a_patch_lets_happen() -> None:
    # `late` was skipped, and `done`, which writes the same file and waited for it, is finished without it.
    plan = Plan(
        tasks=(
            task("first", writes=("shared.py",)),
            task("late", "failed", writes=("shared.py",)),
            task("done", after=("late",), writes=("shared.py",)),
            task("failed"),
        )
    )
    assert graph_of(plan).predecessors("done") == ("first", "failed", "late")
    operations = (ReEdge(task="late", depends_on=()), Split(task="failed", into=(task("again"),)))
    patched = apply_patch(plan, patch(*operations), {"first", "done"}).plan
    assert graph_of(patched).predecessors("done") == ("first",)
    assert graph_of(patched).predecessors("late") == ("first", "done")


def test_a_finished_task_keeps_what_it_was_made_after_when_what_stood_between_goes() -> None:
    plan = Plan(
        tasks=(task("early"), task("between", after=("early",)), task("done", after=("between",)), task("left"))
    )
    assert graph_of(plan).predecessors("done") == ("early", "between")
    patched = apply_patch(plan, patch(Cancel(task="between", why="no")), {"early", "done"}).plan
    assert patched.task("done").after == ("early",)
    assert graph_of(patched).predecessors("done") == ("early",)


def test_every_problem_is_named_at_once() -> None:
    done, bad = task("done"), task("bad", acceptance={"tests/test_b.py": "b"}, tests=("tests/old.py",))
    operations = (
        Cancel(task="bad", why="too hard"),
        Cancel(task="done", why="why not"),
        ReEdge(task="dome", after=("child",)),
        Add(task=task("Bad")),
        Add(task=task("x", "nobody", writes=("child.py",))),
        Add(task=task("y", writes=())),
        ReEdge(task="y", depends_on=()),
    )
    with pytest.raises(ManifestError) as caught:
        apply_patch(Plan(tasks=(done, bad, task("child", "bad"))), patch(*operations), {"done"})
    assert [str(problem) for problem in caught.value.problems] == [
        "task 'done': it is finished, so it cannot be cancelled",
        "task 'dome': there is no such task that could be re-edged; did you mean 'done'?",
        "task 'Bad': a task of this run has or had that id; choose another for the new one",
        "task 'y': it is new, so it cannot be re-edged; say of the task itself what it is to be",
        "task 'child': it depends on 'bad', which was cancelled: too hard: re-edge it",
        "task 'bad': its acceptance file 'tests/test_b.py' would be no task's any more; hand it on",
        "task 'bad': the test 'tests/old.py' would be no task's to make green any more; hand it on",
        "task 'child': it and 'x' may write the same files, and neither waits for the other",
        "task 'y': it declares no `writes`; say what it changes, or that it is `read_only`",
        "task 'x': there is no task 'nobody'",
    ]


@pytest.mark.parametrize(
    ("operations", "problem"),
    [
        ((Split(task="parser", into=(task("p"),)),), "its acceptance file 'tests/test_parser.py' would be no task's"),
        (
            (Split(task="parser", into=(task("p", acceptance={"tests/test_parser.py": "pass"}),)),),
            "its acceptance file 'tests/test_parser.py' is handed on with another content",
        ),
        (
            (Add(task=task("p", acceptance={"tests/test_parser.py": "parse"})),),
            "the acceptance file 'tests/test_parser.py' belongs to 'parser' and 'p'; it can be only one task's",
        ),
        ((Cancel(task="parser", why="no", heir="lexer"),), "'lexer' is finished, so nothing can be handed to it"),
        (
            (Cancel(task="parser", why="no", heir="dogs"),),
            "there is no task 'dogs'; did you mean 'docs'? to hand it to",
        ),
        ((ReEdge(task="lexer", depends_on=("cli",)),), "it is finished, so it cannot be re-edged"),
        ((ReEdge(task="parser", after=("docs",)),), "`depends_on` and `after` form a cycle: parser -> docs -> parser"),
        (
            (Split(task="parser", into=PARTS), Cancel(task="parser", why="no")),
            "it cannot be cancelled: it was replaced",
        ),
        ((Add(task=task("gone")),), "a task of this run has or had that id"),
        ((Split(task="parser", into=(*PARTS, task("other", writes=("errors.py",)))),), "'errors' and 'other'"),
    ],
)
def test_a_patch_that_breaks_a_promise_is_refused(operations: tuple[Operation, ...], problem: str) -> None:
    with pytest.raises(ManifestError) as caught:
        apply_patch(PLAN, patch(*operations), {"lexer"}, taken={"gone"})
    said = [f"{one.task!r} and {one.message.removeprefix('it and ')}; {one.message}" for one in caught.value.problems]
    assert any(problem in one for one in said), said


def test_parts_may_clash_with_what_the_split_task_clashed_with_and_not_with_each_other() -> None:
    plan = Plan(tasks=(task("a", writes=("src",)), task("b", writes=("src/b.py",))))
    parts = (task("a1", writes=("src/b.py",)), task("a2", writes=("src/c.py",)))
    assert graph_of(apply_patch(plan, patch(Split(task="a", into=parts)), ()).plan).waits_for("b") == ("a1",)
    with pytest.raises(ManifestError, match="'a1': it and 'a2' may write the same files"):
        apply_patch(plan, patch(Split(task="a", into=(parts[0], task("a2", writes=("src",))))), ())


def test_a_person_changes_a_patched_plan_under_the_same_rules() -> None:
    shorter = PLAN.model_copy(update={"tasks": (*PLAN.tasks[:2], task("cli", after=("parser",), title="CLI"))})
    edited = apply_edit(PLAN, shorter, {"lexer"})
    assert edited.plan == shorter
    assert edited.removed == {"docs": "taken out by a person"}
    assert describe_patch(PLAN, shorter) == ("- docs", "~ cli: title: nothing -> CLI")
    changed = Plan(tasks=(task("lexer", title="Other"), task("gone")))
    with pytest.raises(ManifestError) as caught:
        apply_edit(PLAN, changed, {"lexer"}, taken={"gone"})
    assert [str(problem) for problem in caught.value.problems] == [
        "task 'gone': a task that is not in the plan any more had that id; choose another",
        "task 'lexer': it is finished, so nothing of it may change",
        "task 'parser': its acceptance file 'tests/test_parser.py' would be no task's any more; hand it on",
        "task 'parser': the test 'tests/test_syntax.py' would be no task's to make green any more; hand it on",
    ]


def test_a_patch_is_bounded() -> None:
    many = tuple(Add(task=task(f"n{number}")) for number in range(MOST_NEW_TASKS))
    assert len(patch(*many).new_tasks) == MOST_NEW_TASKS
    with pytest.raises(ValidationError, match="at most 20 items"):
        patch(*many, *many)
    with pytest.raises(ValidationError, match="more than 20 new tasks"):
        patch(Split(task="parser", into=PARTS), *many[:18])
    with pytest.raises(ValidationError, match="more than 1,000,000 characters"):
        patch(Add(task=task("long", prompt="x" * (LARGEST_PATCH_CHARACTERS + 1))))


def test_a_diff_cannot_break_out_of_the_page_or_the_line_it_is_shown_in() -> None:
    evil = task("evil", title="`````\u202egnp.exe", writes=("a b.py",))
    lines = describe_patch(PLAN, PLAN.model_copy(update={"tasks": (*PLAN.tasks, evil)}))
    assert lines == ("+ evil: `````gnp.exe; writes: a b.py",)
    page = diff_markdown("because\n# of it", lines)
    assert page == "because # of it\n\n``````text\n+ evil: `````gnp.exe; writes: a b.py\n``````\n"
