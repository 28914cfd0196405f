"""The nine defects that tools of this kind have, as tests: each is named after the promise that rules it out."""

import json
import os
import sys
import tomllib
from pathlib import Path

import anyio
import pytest
from prefect.settings import PREFECT_API_URL

from graftline.journal import EventKind
from graftline.report.model import HealOutcome, RunState
from tests.pipeline import Project, Script, Tables, edit, fail, note, runs_flows, shell, task, wait_for, write

pytestmark = runs_flows


async def test_a_dependent_starts_from_the_merged_work_of_all_its_predecessors(project: Project) -> None:
    # A diamond, whose tip needs both sides, through a predecessor that finished long after the run had started.
    tasks = [task("root"), task("left", "root"), task("right", "root"), task("tip", "left", "right")]
    script: Script = {
        "root": [write("root.txt")],
        "left": [shell(f"cat root.txt > left.txt; touch {project.signals / 'late'}")],
        "right": [wait_for(project.signals / "late"), shell("cat root.txt > right.txt")],
        "tip": [shell("cat root.txt left.txt right.txt > tip.txt")],
    }
    built = await project.build(tasks, script)

    assert built.report.state is RunState.LANDED
    assert project.show("tip.txt").split() == ["content"] * 3


async def test_a_red_test_really_calls_an_agent_which_gets_the_failure(project: Project) -> None:
    prompt = project.signals / "prompt"
    script: Script = {"a": [write("broken.txt")]}
    heals: Script = {"a": [shell(f'cp "$GRAFTLINE_TASK_PROMPT_FILE" {prompt}'), {"delete": "broken.txt"}]}
    settings: Tables = {"test": {"command": ["sh", "-c", "! test -e broken.txt || { echo it is broken; exit 1; }"]}}
    built = await project.build([task("a")], script, heals=heals, settings=settings)

    assert [heal.outcome for heal in built.report.heals] == [HealOutcome.HEALED]
    assert [call.role.value for call in built.account.calls] == ["task", "heal"]
    assert "it is broken" in prompt.read_text()
    assert "do a" in prompt.read_text()
    assert built.report.state is RunState.LANDED


async def test_a_run_without_tests_loses_no_work(project: Project) -> None:
    script: Script = {"a": [write("a.txt")], "b": [write("b.txt"), fail()]}
    settings: Tables = {"test": {"runner": "none", "command": []}, "git": {"partial": True}}
    built = await project.build([task("a"), task("b")], script, settings=settings)

    assert "a.txt" in project.files("main")
    assert built.hub("show", f"{built.refs()['salvage/b/1']}:b.txt") == "content"
    assert built.report.tests is None


async def test_no_worktree_is_removed_before_its_work_is_merged(project: Project) -> None:
    # Untracked, uncommitted, half committed, in a new folder, executable: all that is not ignored is taken.
    script: Script = {
        "a": [
            write("folder/deep/untracked.txt"),
            shell("echo '#!/bin/sh' > run.sh; chmod +x run.sh; git add run.sh; git commit -qm own; echo ':' >> run.sh"),
            edit("notes.txt", "one", "eins"),
        ]
    }
    built = await project.build([task("a")], script)

    assert not list(built.folder.worktrees.iterdir()), "the worktree is gone"
    assert {"folder/deep/untracked.txt", "run.sh"} <= project.files("main")
    assert project.show("run.sh") == "#!/bin/sh\n:"
    assert os.access(project.path / "run.sh", os.X_OK)
    assert project.show("notes.txt").startswith("eins")


async def test_the_cost_cap_stops_the_run_before_the_next_call(project: Project) -> None:
    calls = project.signals / "calls"
    names = [f"t{number}" for number in range(4)]
    script: Script = {name: [note(calls, name), write(name)] for name in names}
    settings: Tables = {"agents.scripted": {"cost_usd": 1.0}, "cost": {"max_usd": 2.0}}
    built = await project.build([task(name) for name in names], script, settings=settings)

    assert built.report.state is RunState.BUDGET_REACHED
    assert len(calls.read_text().split()) == 2
    assert built.report.cost_usd == 2.0


async def test_colliding_json_and_toml_are_never_glued_together(project: Project) -> None:
    (project.path / "package.json").write_text('{\n  "name": "x",\n  "version": "1"\n}\n')
    (project.path / "tool.toml").write_text('[tool]\nname = "x"\nversion = "1"\n')
    project.git("add", "-A")
    project.git("commit", "-qm", "configuration")

    def bump(version: str) -> list[dict[str, object]]:
        return [
            edit("package.json", '"version": "1"', f'"version": "{version}"'),
            edit("tool.toml", 'version = "1"', f'version = "{version}"'),
        ]

    built = await project.build(
        [task("two"), task("three")], {"two": bump("2"), "three": bump("3")}, settings={"git": {"partial": True}}
    )

    assert built.states == {"two": "succeeded", "three": "conflicted"}
    assert built.report.conflicts[0].files == ("package.json", "tool.toml")
    assert json.loads(project.show("package.json"))["version"] == "2"
    assert tomllib.loads(project.show("tool.toml"))["tool"]["version"] == "2"


async def test_nothing_is_checked_out_or_changed_in_the_persons_tree_while_agents_work(project: Project) -> None:
    (project.path / "draft.txt").write_text("untracked\n")
    (project.path / "notes.txt").write_text("staged\n")
    project.git("add", "notes.txt")
    (project.path / "notes.txt").write_text("and changed again\n")
    script: Script = {"a": [write("a.txt"), shell("git checkout -q -b elsewhere; git stash -q -u; git stash pop -q")]}
    project.configure(script, {}, {})
    before = project.snapshot()
    built = await project.build([task("a")], script, land="branch")

    new = {f".git/{kind}refs/heads/{built.report.branch}" for kind in ("", "logs/")}
    assert {name: content for name, content in project.snapshot().items() if name not in new} == before
    assert built.report.state is RunState.ON_BRANCH


async def test_one_conflict_ends_no_unrelated_work(project: Project) -> None:
    # The collision is known while `slow` is still at work, and `last` has not begun.
    tasks = [task("one"), task("two"), task("tip", "one", "two"), task("slow"), task("last", "slow")]
    script: Script = {
        "one": [edit("notes.txt", "three", "drei")],
        "two": [edit("notes.txt", "three", "trois")],
        "slow": [wait_for(project.signals / "collided"), write("slow.txt")],
        "last": [write("last.txt")],
    }
    project.configure(script, {}, {})

    async with anyio.create_task_group() as group:
        run_id = await project.schedule(tasks)
        group.start_soon(collision_is_known, project, run_id)
        built = await project.enter(run_id)

    assert built.states["tip"] == "skipped"
    assert (built.states["slow"], built.states["last"]) == ("succeeded", "succeeded")
    assert built.report.branch is not None
    assert {"slow.txt", "last.txt"} <= project.files(built.report.branch)


async def collision_is_known(project: Project, run_id: str) -> None:
    """Let `slow` go on once the run's journal says that `tip` was skipped."""
    while True:
        entries = project.journal(run_id)
        if any(entry.event is EventKind.TASK_SKIPPED and entry.task == "tip" for entry in entries):
            (project.signals / "collided").touch()
            return
        await anyio.sleep(0.05)


@pytest.mark.parametrize(
    ("script", "plan", "code"),
    [
        ({"a": [write("a.txt")]}, "a", 0),
        ({"a": [fail()]}, "a", 1),
        ({}, "a b", 2),
    ],
    ids=["landed", "failed", "bad input"],
)
async def test_the_exit_code_says_whether_the_work_was_done(
    project: Project, script: Script, plan: str, code: int
) -> None:
    project.configure(script, {}, {})
    file = project.signals / "plan.yaml"
    file.write_text(json.dumps({"version": "1", "tasks": [{"id": plan, "prompt": "do it"}]}))
    command = "import sys; from graftline.cli import main; sys.exit(main())"
    argv = [sys.executable, "-c", command, "run", str(file), "--repository", str(project.path), "--json"]
    env = {**os.environ, "PREFECT_API_URL": PREFECT_API_URL.value(), "PYTHONPATH": str(Path(__file__).parents[2])}
    done = await anyio.run_process(argv, check=False, env=env, cwd=project.signals)

    assert done.returncode == code, done.stderr.decode()
    assert b"Traceback" not in done.stderr
    if code == 2:
        assert done.stdout == b""
    else:
        assert json.loads(done.stdout)["state"] == ("failed" if code else "landed")
