"""Merging: folds in order, left-out tasks leave no trace, and the same input gives the same commits."""

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graftline.git.command import git
from graftline.git.conventions import Identity
from graftline.git.hub import Hub
from graftline.git.merging import THE_TARGET, Conflict, Contribution, Integration, Merger, parse_merge

Files = Mapping[str, str]
TEXT = "".join(f"{number}\n" for number in range(1, 10))


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Hub:
    folder = tmp_path_factory.mktemp("state")
    (folder / "gitconfig").write_text("")
    git(["init", "--quiet", "--bare", str(folder / "hub.git")], git_dir=None)
    who = Identity("Test User", "test@example.com")
    return Hub(folder / "hub.git", {}, who, who)


async def commit(hub: Hub, files: Files, *parents: str, seconds: int = 1_700_000_000) -> str:
    """A commit with exactly these files."""
    with tempfile.TemporaryDirectory() as folder:
        work_tree = Path(folder, "files")
        work_tree.mkdir()
        for path, content in files.items():
            (work_tree / path).parent.mkdir(parents=True, exist_ok=True)
            (work_tree / path).write_text(content)
        index = Path(folder, "index")
        await hub.run(["add", "--all"], work_tree=work_tree, index=index)
        tree = (await hub.run(["write-tree"], index=index)).text
    return await hub.commit_tree(tree, parents, "work", {}, date=f"@{seconds} +0200")


async def read(hub: Hub, commit_id: str) -> dict[str, str]:
    """The files of a commit."""
    listed = await hub.run(["ls-tree", "-r", "-z", commit_id])
    found = {}
    for entry in listed.fields:
        head, _, path = entry.partition("\t")
        found[path] = (await hub.run(["cat-file", "blob", head.split(" ")[2]])).stdout.decode()
    return found


async def contribute(hub: Hub, task_id: str, files: Files, *parents: str) -> Contribution:
    return Contribution(task_id, await commit(hub, files, *parents), f"Do {task_id}", 1)


async def fold(
    hub: Hub, base: str, contributions: Sequence[Contribution], depends_on: Mapping[str, tuple[str, ...]] | None = None
) -> Integration:
    return await Merger(hub, "run1").fold(base, contributions, depends_on=depends_on or {})


async def test_each_task_is_one_merge_commit_on_the_targets_line(hub: Hub) -> None:
    base = await commit(hub, {"a": TEXT, "b": TEXT})
    first = await contribute(hub, "first", {"a": TEXT + "10\n", "b": TEXT}, base)
    second = await contribute(hub, "second", {"a": "0\n" + TEXT, "b": TEXT}, base)
    integration = await fold(hub, base, [first, second])
    assert await read(hub, integration.commit) == {"a": "0\n" + TEXT + "10\n", "b": TEXT}
    assert (integration.merged, integration.conflicts, integration.skipped) == (("first", "second"), (), ())
    line = await hub.run(["log", "--first-parent", "--format=%s %P", integration.commit])
    after_first = (await hub.resolve(f"{integration.commit}^")) or ""
    assert line.text.splitlines() == [
        f"Do second {after_first} {second.commit}",
        f"Do first {base} {first.commit}",
        "work ",
    ]
    shown = await hub.run(["show", "-s", "--format=%(trailers:unfold)%an %ad", "--date=raw", integration.commit])
    assert shown.text.split("\n") == [
        "Graftline-Run: run1",
        "Graftline-Task: second",
        "Graftline-Attempt: 1",
        "Test User 1700000000 +0000",
    ]


async def test_failed_merge_keeps_the_earlier_task(hub: Hub) -> None:
    base = await commit(hub, {"a": TEXT, "b": TEXT})
    first = await contribute(hub, "first", {"a": TEXT.replace("5", "five"), "b": TEXT}, base)
    second = await contribute(hub, "second", {"a": TEXT.replace("5", "cinq"), "b": TEXT + "end\n"}, base)
    third = await contribute(hub, "third", {"a": TEXT, "b": TEXT, "c": "new\n"}, base)
    integration = await fold(hub, base, [first, second, third])
    assert integration.merged == ("first", "third")
    assert integration.conflicts == (Conflict("second", ("first",), ("a",)),)
    assert await read(hub, integration.commit) == {"a": TEXT.replace("5", "five"), "b": TEXT, "c": "new\n"}


async def test_a_left_out_task_takes_its_dependents_along_and_nothing_else(hub: Hub) -> None:
    base = await commit(hub, {"a": TEXT})
    first = await contribute(hub, "first", {"a": TEXT.replace("5", "five")}, base)
    second = await contribute(hub, "second", {"a": TEXT.replace("5", "cinq")}, base)
    child = await contribute(hub, "child", {"a": TEXT.replace("5", "cinq"), "d": "x"}, second.commit)
    other = await contribute(hub, "other", {"a": TEXT, "o": "x"}, base)
    # `report` contributes nothing itself (a read-only task), and still carries the dependency.
    depends_on = {"report": ("second",), "child": ("report",)}
    integration = await fold(hub, base, [first, second, child, other], depends_on)
    assert (integration.merged, integration.skipped) == (("first", "other"), ("child",))
    assert [conflict.task for conflict in integration.conflicts] == ["second"]
    assert await read(hub, integration.commit) == {"a": TEXT.replace("5", "five"), "o": "x"}


async def test_deleting_what_another_changed_is_a_conflict(hub: Hub) -> None:
    base = await commit(hub, {"a": TEXT, "b": TEXT.replace("1", "one")})
    first = await contribute(hub, "first", {"b": TEXT.replace("1", "one")}, base)
    second = await contribute(hub, "second", {"a": TEXT + "10\n", "b": TEXT.replace("1", "one")}, base)
    integration = await fold(hub, base, [first, second])
    assert integration.conflicts == (Conflict("second", ("first",), ("a",)),)


async def test_a_file_where_another_made_a_folder_is_a_conflict(hub: Hub) -> None:
    base = await commit(hub, {"a": TEXT})
    first = await contribute(hub, "first", {"a": TEXT, "new/file": "x\n"}, base)
    second = await contribute(hub, "second", {"a": TEXT, "new": "y\n"}, base)
    integration = await fold(hub, base, [first, second])
    assert [(conflict.task, conflict.with_) for conflict in integration.conflicts] == [("second", ("first",))]
    assert await read(hub, integration.commit) == {"a": TEXT, "new/file": "x\n"}


async def test_a_conflict_with_a_moved_target_names_the_target(hub: Hub) -> None:
    base = await commit(hub, {"a": TEXT, "b": TEXT})
    moved = await commit(hub, {"a": TEXT.replace("5", "fünf"), "b": TEXT}, base)
    first = await contribute(hub, "first", {"a": TEXT, "b": "0\n" + TEXT}, base)
    second = await contribute(hub, "second", {"a": TEXT.replace("5", "cinq"), "b": TEXT}, base)
    integration = await fold(hub, moved, [first, second])
    assert integration.conflicts == (Conflict("second", (THE_TARGET,), ("a",)),)
    assert await read(hub, integration.commit) == {"a": TEXT.replace("5", "fünf"), "b": "0\n" + TEXT}


@pytest.mark.parametrize(
    ("name", "before", "one", "other"),
    [
        ("config.json", '{\n  "a": 1\n}\n', '{\n  "a": 1,\n  "b": 2\n}\n', '{\n  "a": 1,\n  "c": 3\n}\n'),
        ("config.toml", "[x]\na = 1\n", "[x]\na = 1\nb = 2\n", "[x]\na = 1\nb = 3\n"),
        ("CHANGELOG.md", "# Log\n", "# Log\n\n- one\n", "# Log\n\n- other\n"),
    ],
)
async def test_additions_at_one_place_are_never_joined(hub: Hub, name: str, before: str, one: str, other: str) -> None:
    attributes = {".gitattributes": "* merge=union\n"}
    base = await commit(hub, {name: before, **attributes})
    first = await contribute(hub, "first", {name: one, **attributes}, base)
    second = await contribute(hub, "second", {name: other, **attributes}, base)
    integration = await fold(hub, base, [first, second])
    assert integration.conflicts == (Conflict("second", ("first",), (name,)),)
    assert (await read(hub, integration.commit))[name] == one


async def test_a_file_stays_where_its_task_wrote_it(hub: Hub) -> None:
    base = await commit(hub, {f"old/{number}": f"{number}\n{TEXT}" for number in range(4)})
    renamed = {f"new/{number}": f"{number}\n{TEXT}" for number in range(4)}
    first = await contribute(hub, "first", renamed, base)
    added = {**{f"old/{number}": f"{number}\n{TEXT}" for number in range(4)}, "old/added": "x\n"}
    second = await contribute(hub, "second", added, base)
    integration = await fold(hub, base, [first, second])
    assert await read(hub, integration.commit) == {**renamed, "old/added": "x\n"}


async def test_the_same_input_gives_the_same_commits_in_any_process(hub: Hub) -> None:
    base = await commit(hub, {"a": TEXT})
    first = await contribute(hub, "first", {"a": TEXT, "b": "x"}, base)
    second = await contribute(hub, "second", {"a": TEXT, "c": "x"}, base)
    one = await fold(hub, base, [first, second])
    another = await fold(hub, base, [first, second])
    assert one == another


async def test_a_dependents_base_is_a_prefix_of_the_final_integration(hub: Hub) -> None:
    base = await commit(hub, {"a": TEXT})
    first = await contribute(hub, "first", {"a": TEXT, "b": "x"}, base)
    second = await contribute(hub, "second", {"a": TEXT, "c": "x"}, base)
    start = await fold(hub, base, [first, second])
    third = await contribute(hub, "third", {"a": TEXT, "b": "y", "c": "y"}, start.commit)
    integration = await fold(hub, base, [first, second, third], {"third": ("first", "second")})
    assert await hub.resolve(f"{integration.commit}^") == start.commit
    assert integration.merged == ("first", "second", "third")


async def test_a_dependent_of_two_merges_although_another_task_came_between(hub: Hub) -> None:
    base = await commit(hub, {"a": TEXT})
    first = await contribute(hub, "first", {"a": "0\n" + TEXT}, base)
    second = await contribute(hub, "second", {"a": TEXT + "10\n"}, base)
    start = await fold(hub, base, [first, second])
    third = await contribute(hub, "third", {"a": "0\n" + TEXT.replace("5", "five") + "10\n"}, start.commit)
    between = await contribute(hub, "between", {"a": TEXT, "b": "x"}, base)
    integration = await fold(hub, base, [first, between, second, third], {"third": ("first", "second")})
    assert integration.conflicts == ()
    assert await read(hub, integration.commit) == {"a": "0\n" + TEXT.replace("5", "five") + "10\n", "b": "x"}


async def test_what_adds_nothing_is_merged_without_a_commit(hub: Hub) -> None:
    base = await commit(hub, {"a": TEXT})
    empty = await contribute(hub, "empty", {"a": TEXT}, base)
    contained = Contribution("contained", base, "Nothing", 1)
    integration = await fold(hub, base, [empty, contained])
    assert (integration.commit, integration.merged, integration.steps) == (base, ("empty", "contained"), ())


async def test_an_absurd_date_of_an_agents_commit_does_not_stop_the_merge(hub: Hub) -> None:
    base = await commit(hub, {"a": TEXT})
    tree = await hub.tree_of(await commit(hub, {"a": TEXT, "b": "x"}))
    raw = f"tree {tree}\nparent {base}\nauthor A <a@b> 99999999999999999999 +9999\ncommitter A <a@b> nonsense\n\nx\n"
    strange = await hub.run(["hash-object", "-t", "commit", "-w", "--literally", "--stdin"], stdin=raw.encode())
    integration = await fold(hub, base, [Contribution("a", strange.text, "A", 1)])
    assert integration.merged == ("a",)
    assert await read(hub, integration.commit) == {"a": TEXT, "b": "x"}


async def test_linear_history_has_one_commit_per_task_and_the_same_tree(hub: Hub) -> None:
    base = await commit(hub, {"a": TEXT})
    first = await contribute(hub, "first", {"a": TEXT, "b": "x"}, base)
    empty = await contribute(hub, "empty", {"a": TEXT}, base)
    second = await contribute(hub, "second", {"a": TEXT, "c": "x"}, base)
    merger = Merger(hub, "run1")
    integration = await merger.fold(base, [first, empty, second], depends_on={})
    tip = await merger.linearise(base, integration)
    assert await hub.tree_of(tip) == integration.tree
    line = await hub.run(["log", "--format=%s|%(trailers:key=Graftline-Task,valueonly,separator=)", f"{base}..{tip}"])
    assert line.text.splitlines() == ["Do second|second", "Do first|first"]
    assert (await hub.run(["rev-list", "--merges", tip])).text == ""
    assert await merger.linearise(base, integration) == tip


def test_merge_output_is_read_to_the_path() -> None:
    fields = ("t" * 40, f"100644 {'b' * 40} 1\ttab\tin name", f"100644 {'c' * 40} 2\ttab\tin name", "x 1 3\té\n")
    assert parse_merge(fields) == ("t" * 40, ("tab\tin name", "é\n"))


PATHS = [f"{folder}{name}" for folder in ("", "d/", "d/e/") for name in ("one", "two", "three")]
CONTENTS = st.lists(st.sampled_from(["x", "y", "z", "same", ""]), max_size=6).map(lambda lines: "\n".join([*lines, ""]))
EDITS = st.dictionaries(st.sampled_from(PATHS), st.none() | CONTENTS, max_size=4)
PROPERTY = settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def apply(files: Files, edits: Mapping[str, str | None]) -> dict[str, str]:
    changed = {**files, **edits}
    return {path: content for path, content in changed.items() if content is not None}


@PROPERTY
@given(
    base=st.dictionaries(st.sampled_from(PATHS), CONTENTS, min_size=1),
    edits=EDITS,
    owners=st.lists(st.integers(0, 2), min_size=len(PATHS), max_size=len(PATHS)),
)
def test_disjoint_edits_fold_to_all_of_them(
    hub: Hub, base: dict[str, str], edits: dict[str, str | None], owners: list[int]
) -> None:
    async def check() -> None:
        start = await commit(hub, base)
        owner_of = dict(zip(PATHS, owners, strict=True))
        tasks = [
            await contribute(
                hub, f"t{owner}", apply(base, {p: c for p, c in edits.items() if owner_of[p] == owner}), start
            )
            for owner in range(3)
        ]
        integration = await fold(hub, start, tasks)
        assert integration.merged == ("t0", "t1", "t2")
        assert await read(hub, integration.commit) == apply(base, edits)

    anyio.run(check)


@PROPERTY
@given(
    base=st.dictionaries(st.sampled_from(PATHS), CONTENTS, min_size=1), edits=st.lists(EDITS, min_size=3, max_size=3)
)
def test_a_conflicted_task_leaves_the_tree_as_without_it_and_no_path_is_invented(
    hub: Hub, base: dict[str, str], edits: list[dict[str, str | None]]
) -> None:
    async def check() -> None:
        start = await commit(hub, base)
        tasks = [await contribute(hub, f"t{number}", apply(base, edit), start) for number, edit in enumerate(edits)]
        integration = await fold(hub, start, tasks)
        without = await fold(hub, start, [task for task in tasks if task.task_id in integration.merged])
        assert without.commit == integration.commit
        assert {*integration.merged, *(conflict.task for conflict in integration.conflicts)} == {"t0", "t1", "t2"}
        merged = [edit for number, edit in enumerate(edits) if f"t{number}" in integration.merged]
        result = set(await read(hub, integration.commit))
        deleted = {path for edit in merged for path, content in edit.items() if content is None}
        written = {path for edit in merged for path, content in edit.items() if content is not None}
        assert result <= set(base) | written
        assert result >= (set(base) | written) - deleted

    anyio.run(check)
