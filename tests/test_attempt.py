"""One attempt: how it is judged, and in which order what it did is put on record."""

from dataclasses import replace
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from graftline.agents.outcome import AgentOutcome, OutcomeKind
from graftline.attempt import Ask, call_limits, judge, outside_writes, perform_attempt, reserve_place
from graftline.git.worktrees import Work
from graftline.journal import EventKind
from graftline.plan import TaskSpec
from graftline.records import AttemptState, read_record
from graftline.report.assemble import assemble_report
from graftline.report.sentences import describe
from graftline.settings import TimeoutSettings
from tests.pipeline import Project, Script, Tables, fail, shell, task, write

PATHS = st.lists(st.sampled_from(["a.py", "b.py", "lib/c.py", "lib/deep/d.py"]), unique=True, max_size=3).map(tuple)
WRITES = st.lists(st.sampled_from(["a.py", "lib", "lib/*.py", "**/d.py"]), unique=True, max_size=2).map(tuple)
KINDS = st.sampled_from([kind for kind in OutcomeKind if kind is not OutcomeKind.NO_CHANGE])


@given(
    kind=KINDS,
    paths=PATHS,
    writes=WRITES,
    read_only=st.booleans(),
    enforce=st.booleans(),
    declared=st.none() | st.just("it is there already"),
    called=st.booleans(),
)
def test_only_an_agent_that_ended_well_and_did_what_it_may_has_succeeded(
    *,
    kind: OutcomeKind,
    paths: tuple[str, ...],
    writes: tuple[str, ...],
    read_only: bool,
    enforce: bool,
    declared: str | None,
    called: bool,
) -> None:
    spec = TaskSpec(id="a", prompt="p", writes=() if read_only else writes, read_only=read_only)
    outcome = AgentOutcome(kind=kind, detail="said", last_message="message", declared_no_change=declared, called=called)
    work = Work("c" * 40 if paths else None, "tree", paths, (), 0, ())
    outside = outside_writes(spec, paths)

    state, detail, judged = judge(spec, outcome, work, enforce=enforce)

    assert set(outside) <= set(paths)
    assert all(not spec.may_write(path) for path in outside)
    if kind is OutcomeKind.BUDGET and not called:
        assert (state, detail, judged) == (AttemptState.NOT_CALLED, "said", kind)
    elif kind in {OutcomeKind.INTERRUPTED, OutcomeKind.BUDGET}:
        assert (state, judged) == (AttemptState.INTERRUPTED, kind)
    elif kind is not OutcomeKind.OK:
        assert (state, detail, judged) == (AttemptState.FAILED, "said", kind)
    elif outside and enforce:
        assert (state, judged) == (AttemptState.FAILED, OutcomeKind.PERMISSION_DENIED)
        assert all(path in detail for path in outside)
    elif read_only:
        assert (state, detail, judged) == (AttemptState.NO_CHANGE, "message", OutcomeKind.OK)
    elif paths:
        assert (state, judged) == (AttemptState.SUCCEEDED, OutcomeKind.OK)
    elif declared:
        assert (state, detail, judged) == (AttemptState.NO_CHANGE, declared, OutcomeKind.NO_CHANGE)
    else:
        assert (state, judged) == (AttemptState.FAILED, OutcomeKind.FAILED)


def test_what_a_task_declared_is_not_outside_and_undeclared_means_anything() -> None:
    paths = ("a.py", "lib/c.py", "lib/deep/d.py")
    assert outside_writes(TaskSpec(id="a", prompt="p"), paths) == ()
    assert outside_writes(TaskSpec(id="a", prompt="p", writes=("lib",)), paths) == ("a.py",)
    assert outside_writes(TaskSpec(id="a", prompt="p", read_only=True), paths) == paths


async def test_an_attempt_leaves_record_ref_row_and_journal_and_a_retired_worktree(offline_project: Project) -> None:
    spec = task("a", title="Add a", writes=["a.txt"], env={"EXTRA": "1"})
    facts = offline_project.signals / "facts"
    script: Script = {"a": [shell(f"env > {facts}"), write("a.txt"), write("beside.txt"), {"say": "all done"}]}
    run = await offline_project.open([spec], script, settings={"agents.scripted": {"cost_usd": 0.5}})
    place = await reserve_place(run, "a", run.base)
    assert (await run.hub.refs(run.ref("task"))) == {place.ref: run.base}, "reserved before anything is dispatched"
    record = await perform_attempt(run, Ask(spec=spec, base=run.base, key="key", prompt="do it"), place)

    assert record == read_record(place.folder)
    assert (record.state, record.outcome, record.cost_usd) == (AttemptState.SUCCEEDED, OutcomeKind.OK, 0.5)
    assert record.paths == ("a.txt", "beside.txt")
    assert record.notes == ("changed outside its `writes`: beside.txt",)
    assert record.last_message.endswith("all done")
    assert await run.hub.refs(run.ref("task")) == {place.ref: record.commit}
    assert [worktree.path for worktree in run.retired] == [place.worktree], "it goes when the run ends"
    (call,) = run.ledger.account(run.id).calls
    assert (call.task, call.attempt, call.outcome, call.usage.cost_usd) == ("a", 1, OutcomeKind.OK, 0.5)
    told = dict(line.split("=", 1) for line in facts.read_text().splitlines() if line.startswith(("GRAFT", "EXTRA")))
    assert told["EXTRA"] == "1"
    assert {key: told[key] for key in told if key.startswith("GRAFTLINE_TASK_") and "FILE" not in key} == {
        "GRAFTLINE_TASK_ID": "a",
        "GRAFTLINE_TASK_ATTEMPT": "1",
        "GRAFTLINE_TASK_ROLE": "task",
        "GRAFTLINE_TASK_TITLE": "Add a",
        "GRAFTLINE_TASK_RUN": run.pinned.name,
        "GRAFTLINE_TASK_BASE": run.base,
        "GRAFTLINE_TASK_DEPENDS_ON": "",
        "GRAFTLINE_TASK_WRITES": "a.txt",
    }
    assert [entry.event for entry in run.journal.entries()][-3:] == [
        EventKind.ATTEMPT_STARTED,
        EventKind.PROCESS_STARTED,
        EventKind.ATTEMPT_ENDED,
    ]
    assert (await reserve_place(run, "a", run.base)).number == 2


async def test_after_a_failed_attempt_a_deeper_agent_is_called_and_every_record_says_which(
    offline_project: Project,
) -> None:
    settings: Tables = {
        "agents.scripted": {"tier": "fast"},
        "agents.better": offline_project.agent(cost_usd=0.5, tier="deep"),
        "models": {"escalation": ["fast", "deep"]},
    }
    spec = task("a")
    run = await offline_project.open([spec], {"a": {1: [fail()], 2: [write("a.txt")]}}, settings=settings)
    records = []
    for _ in range(2):
        place = await reserve_place(run, "a", run.base)
        records.append(await perform_attempt(run, Ask(spec=spec, base=run.base, key="key", prompt="do it"), place))

    who = [("scripted", "fast"), ("better", "deep")]
    assert [record.state for record in records] == [AttemptState.FAILED, AttemptState.SUCCEEDED]
    assert [(record.profile, record.tier) for record in records] == who
    assert [call.usage.cost_usd for call in run.ledger.account(run.id).calls] == [0.0, 0.5]
    entries = run.journal.entries()
    begun = [entry for entry in entries if entry.event is EventKind.ATTEMPT_STARTED]
    assert [(entry.data["profile"], entry.data["tier"]) for entry in begun] == who
    assert describe(begun[1]) == "a (attempt 2): started with command, better (deep)"
    report = assemble_report(run.pinned, run.folder, entries, run.ledger.account(run.id))
    assert [(attempt.profile, attempt.tier) for attempt in report.tasks[0].attempts] == who
    assert str(run.agent(spec)) == "better (deep)", "who finished the work heals it"


async def test_with_writes_enforced_a_change_outside_fails_the_attempt_and_is_salvaged(
    offline_project: Project,
) -> None:
    spec = task("a", writes=["a.txt"])
    script = {"a": [write("a.txt"), write("beside.txt")]}
    run = await offline_project.open([spec], script, settings={"git": {"writes": "enforce"}})
    place = await reserve_place(run, "a", run.base)
    record = await perform_attempt(run, Ask(spec=spec, base=run.base, key="key", prompt="do it"), place)

    assert (record.state, record.outcome) == (AttemptState.FAILED, OutcomeKind.PERMISSION_DENIED)
    assert record.detail == "changed what it may not: beside.txt"
    assert (record.commit, record.salvage) == (None, place.salvage_ref)
    assert await run.hub.changed_paths(run.base, place.salvage_ref) == ("a.txt", "beside.txt")
    assert (await run.hub.refs(place.ref)) == {place.ref: run.base}


async def test_what_an_agent_does_to_sealed_acceptance_tests_is_undone_and_said(offline_project: Project) -> None:
    spec = task("a", acceptance={"tests/test_sealed.py": "def test_sealed():\n    assert True\n"})
    run = await offline_project.open([spec], {"a": [write("tests/test_sealed.py", ""), write("a.txt")]})
    place = await reserve_place(run, "a", run.base)
    record = await perform_attempt(run, Ask(spec=spec, base=run.base, key="key", prompt="do it"), place)

    assert record.paths == ("a.txt",)
    assert record.notes == ("changed sealed acceptance tests, which was undone: tests/test_sealed.py",)


async def test_what_ignore_rules_kept_out_is_said_and_its_worktree_does_not_wait(offline_project: Project) -> None:
    steps = [write(".gitignore", "build/\n"), write("build/out.bin"), write("__pycache__/a.pyc"), write("a.txt")]
    run = await offline_project.open([task("a")], {"a": steps})
    place = await reserve_place(run, "a", run.base)
    record = await perform_attempt(run, Ask(spec=task("a"), base=run.base, key="key", prompt="do it"), place)

    assert record.left_out == ("__pycache__/", "build/")
    assert record.notes == ("not committed, because it is ignored: build/",)
    assert (place.worktree.exists(), len(run.retired)) == (False, 0)


def test_call_is_limited_by_silence_and_unless_it_is_read_only_by_its_work() -> None:
    timeouts = TimeoutSettings(output_stall_seconds=1, commit_stall_seconds=2)
    writing = call_limits(timeouts, TaskSpec(id="a", prompt="a"), Path("w"), wall_seconds=3)
    reading = call_limits(timeouts, TaskSpec(id="a", prompt="a", read_only=True), Path("w"), wall_seconds=3)
    assert (writing.wall_seconds, writing.stall_seconds, [limit.seconds for limit in writing.stalls]) == (3, 1, [2])
    assert reading == replace(writing, stalls=())
