"""The whole pipeline on real git, real processes and a real Prefect server: what lands, and what is said about it."""

from graftline.report.model import RunState
from tests.pipeline import Project, runs_flows, task, write

pytestmark = runs_flows


async def test_lands(project: Project) -> None:
    built = await project.build([task("a"), task("b", "a")], {"a": [write("a.txt")], "b": [write("b.txt")]})
    built = await project.build([task("a"), task("b", "a")], {"a": [write("a.txt")], "b": [write("b.txt", "2")]})
    print(built.report.model_dump_json(indent=1))
    for e in built.entries:
        print(e.event, e.task, e.data)
    print(built.state, built.refs())
    assert built.report.state is not RunState.LANDED
