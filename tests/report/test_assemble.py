"""The report from a run's records: made at any moment of a run, and of one whose process was killed."""

from graftline.pinned import read_pinned
from graftline.plan import Plan
from graftline.planning.forecast import score_forecast
from graftline.report.assemble import assemble_report, read_history
from graftline.report.model import RunState, TaskState
from tests.pipeline import Project, Script, edit, fail, runs_flows, task, write

pytestmark = runs_flows


async def test_a_report_can_be_made_from_any_beginning_of_a_journal(project: Project) -> None:
    # A run in which everything happens: success, conflict, failure, skip, red tests, a dropped heal, a good one.
    tasks = [task("good"), task("collides"), task("bad"), task("after", "bad"), task("breaks")]
    script: Script = {
        "good": [edit("notes.txt", "three", "drei")],
        "collides": [edit("notes.txt", "three", "trois")],
        "bad": [write("half.txt"), fail()],
        "breaks": [write("broken.txt")],
    }
    heals: Script = {"breaks": {1: [write("useless.txt")], 2: [{"delete": "broken.txt"}]}}
    built = await project.build(tasks, script, heals=heals)
    assert built.report.state is RunState.PARTIAL
    pinned = read_pinned(built.folder)
    assert isinstance(pinned.plan, Plan)

    states = []
    for length in range(len(built.entries) + 1):
        entries = built.entries[:length]
        report = assemble_report(pinned, built.folder, entries, built.account)
        assert [one.id for one in report.tasks] == [one.id for one in tasks]
        states.append(report.state)
        if report.state is RunState.RUNNING:
            assert TaskState.CANCELLED not in {one.state for one in report.tasks}
    assert states == [RunState.RUNNING] * len(built.entries) + [RunState.PARTIAL]
    assert assemble_report(pinned, built.folder, built.entries, built.account) == built.report

    estimate = built.report.estimate
    assert estimate is not None, "the plan was settled with one"
    assert estimate.cost_held is True
    assert estimate.run_seconds.of == 1
    assert score_forecast(built.entries) is not None


async def test_what_a_later_entry_says_of_a_task_replaces_what_an_earlier_one_said(project: Project) -> None:
    script: Script = {"a": {1: [fail()], 2: [write("a.txt")]}}
    first = await project.build([task("a")], script)
    second = await project.enter(first.report.flow_run_id)

    assert (first.states, second.states) == ({"a": "failed"}, {"a": "succeeded"})
    history = read_history(second.entries)
    assert history.task_ends["a"].event.value == "task-succeeded"
    assert second.report.state is RunState.LANDED
    assert [one.number for one in second.tasks["a"].attempts] == [1, 2]
