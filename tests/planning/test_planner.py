"""The planner: what a model says becomes a valid plan, or one clear error; no agent is called for less."""

import json
from pathlib import Path

import pytest
from pydantic import JsonValue

from graftline.errors import PlannerError, Problem
from graftline.manifest import dump_manifest, parse_manifest
from graftline.plan import Plan, graph_of
from graftline.planning.planner import Feedback, make_plan
from graftline.planning.scaffold import ScaffoldCheck
from graftline.text import find_hidden
from tests.planning.drafting import Said, Script, draft, job, no_fault, says, task

GOOD = says(draft())
GOOD_TEXT = GOOD.text


def without(key: str) -> dict[str, JsonValue]:
    return {name: value for name, value in task("one").items() if name != key}


def nested(depth: int) -> str:
    return '{"title": ' + '{"a": ' * depth + "1" + "}" * depth + "}"


READ_AS_THEY_ARE = {
    "a fence": Said(f"```json\n{GOOD_TEXT}\n```"),
    "prose around it": Said(f"Here is the plan {{as you asked}}:\n\n{GOOD_TEXT}\n\nTell me what you think of {{}}!"),
    "braces and fences in texts": says(
        draft(task("one", what='Write "}{" and ```json\n{"tasks": []}\n``` to the file.'))
    ),
}

MALFORMED = {
    "nothing": (Said(""), "no JSON object in the answer"),
    "prose alone": (Said("I would rather talk about it first."), "no JSON object in the answer"),
    "cut off in the middle": (Said(GOOD_TEXT[: len(GOOD_TEXT) // 2]), "cut off: it does not come to its end"),
    "cut off at the limit of tokens": (Said(GOOD_TEXT[:-40], "length"), "was cut off at its limit of 32000 tokens"),
    "a refusal": (Said("I cannot help with that.", "refused"), "the model would not answer: I cannot help with that."),
    "broken JSON": (Said(GOOD_TEXT.replace('"tasks":', '"tasks"')), "is broken: Expecting ':' delimiter"),
    "nested too deeply": (Said(nested(40)), "levels deep"),
    "a list of tasks": (says([task("one"), task("two")]), "JSON objects in the answer"),
    "no tasks": (says(draft(tasks=[])), "`tasks` is an empty list; a plan has at least one task"),
    "an empty object": (says({}), "the key `tasks` is missing"),
    "10,000 tasks": (says(draft(*[task("one")] * 10_000)), "characters, more than 4000000"),
    "10,000 empty tasks": (says(draft(*[{}] * 10_000)), "the plan has 10000 tasks; at most 50"),
    "25,000 keys": (says(draft(**{f"k{n}": 0 for n in range(25_000)})), "has 25043 entries in all"),
    "41 paths": (says(draft(task("one", writes=["x"] * 41))), "task 'one': `writes` has more than 40 entries"),
    "no criterion": (says(draft(task("one", done_when=[]))), "task 'one': `done_when` is an empty list"),
    "texts for a number, a list and a truth": (
        says(draft(task("one", writes="calc/one.py", read_only="no", what=7))),
        "`read_only` must be true or false, not the text 'no'",
    ),
    "a key that is missing": (says(draft(without("done_when"))), "task 'one': the key `done_when` is missing"),
    "an environment with a secret": (
        says(draft(task("one", env={"ANTHROPIC_API_KEY": "sk-1", "HOME": "/"}))),
        "task 'one': unknown key `env`",
    ),
    "an agent of its own choice": (says(draft(task("one", agent="root"))), "task 'one': unknown key `agent`"),
    "an id that is a path": (says(draft(task("../one"))), "an id is 1 to 64 letters, digits, _ and -"),
    "ids of 80 kB": (
        says(draft(*[task("one", f"{'x' * 80_000}{n}", id=f"{n}{'x' * 80_000}") for n in range(9)])),
        "an id is 1 to 64 letters",
    ),
    "the same id twice": (says(draft(task("one"), task("one"))), "task 'one': the id 'one' is used twice"),
    "an unknown dependency": (says(draft(task("one", "tow"), task("two"))), "no task 'tow'; did you mean 'two'?"),
    "a cycle": (
        says(draft(task("one", "two"), task("two", "one"))),
        "the dependencies form a cycle: one -> two -> one",
    ),
    "a path above the repository": (says(draft(task("one", writes=["../x.py"]))), "'../x.py' leaves the repository"),
    "an absolute path": (says(draft(task("one", writes=["/etc/passwd"]))), "'/etc/passwd' is absolute"),
    "a path into .git": (says(draft(task("one", writes=[".GIT./hooks"]))), "leads into git's own folder"),
    "a path through a link": (
        says(draft(task("one", writes=["link/x.py"]))),
        "'link' is a file or a link, not a folder",
    ),
    "a path that git ignores": (says(draft(task("one", writes=["build/x.py"]))), "git ignores 'build/x.py'"),
    "writes that overlap": (
        says(draft(task("one"), task("two", writes=["calc"]))),
        "task 'two': it writes 'calc', and 'one', which may run at the same time, writes 'calc/one.py'",
    ),
    "no word of what it writes": (says(draft(task("one", writes=[]))), "it changes files and does not say which"),
    "no tests": (says(draft(task("one", acceptance=[]))), "task 'one': nothing tells when it is done"),
    "tests that are not there": (says(draft(task("one", tests=["tests/test_on.py"]))), "has no such file"),
    "a test in place of a file": (
        says(draft(task("one", acceptance=[{"path": "Tests/test_adding.py", "content": "x = 1"}]))),
        "would replace the file 'tests/test_adding.py'",
    ),
    "a test of two tasks": (
        says(draft(task("one"), task("two", acceptance=task("one")["acceptance"]))),
        "task 'two': the acceptance test 'tests/test_one.py' is one of 'one' too",
    ),
    "a test that another task may write": (
        says(draft(task("one"), task("two", "one", writes=["tests/**"]))),
        "takes in 'tests/test_one.py', an acceptance test of 'one'",
    ),
    "a test called like an option": (
        says(draft(task("one", acceptance=[{"path": "-test.py", "content": "x"}]))),
        "would be read as an option",
    ),
    "text that runs backwards": (
        says(draft(task("one", what="Check \u202eelif\u202c."))),
        "task 'one': `what`: holds the hidden or control character U+202E",
    ),
    "control characters": (says(draft(title="Grow\x1b[2J")), "`title`: control characters or line breaks"),
    "half of a surrogate pair": (Said(GOOD_TEXT.replace("Two modules.", "\\ud800")), "surrogate"),
    "a text of 1 MB": (says(draft(task("one", where="x" * 1_000_000))), "`where`: 1000000 characters; at most 8000"),
    "a read-only task that writes": (says(draft(task("one", read_only=True))), "task 'one': a read_only task changes"),
}


@pytest.mark.parametrize("name", READ_AS_THEY_ARE)
async def test_a_plan_is_found_in_what_surrounds_it(name: str, tmp_path: Path) -> None:
    script = Script([READ_AS_THEY_ARE[name]])
    proposal = await make_plan(job(tmp_path), script.ask, no_fault)
    assert proposal.plan.tasks[0].id == "one"
    assert len(script.asked) == 1


@pytest.mark.parametrize("name", MALFORMED)
async def test_a_malformed_answer_is_repaired_by_a_good_one_or_ends_in_one_error(name: str, tmp_path: Path) -> None:
    malformed, problem = MALFORMED[name]
    script = Script([malformed, GOOD])
    proposal = await make_plan(job(tmp_path), script.ask, no_fault)

    assert [spec.id for spec in proposal.plan.tasks] == ["one", "two"]
    first, second = script.asked
    assert (second.system, second.schema, second.messages[0]) == (first.system, first.schema, first.messages[0])
    *_, said, back = second.messages
    assert (said.role, back.role) == ("assistant", "user")
    assert said.text.strip(), "no provider takes an empty message"
    assert problem in back.text
    assert "number 1 of 4" in back.text
    assert len(back.text) < 40_000, "what goes back is bounded"
    assert not find_hidden(said.text + back.text)

    script = Script([malformed] * 2)
    with pytest.raises(PlannerError) as raised:
        await make_plan(job(tmp_path, {"planner": {"max_replan_attempts": 1}}), script.ask, no_fault)
    assert problem in str(raised.value)
    assert "in 2 tries" in str(raised.value)


async def test_all_problems_go_back_at_once_and_the_latest_only(tmp_path: Path) -> None:
    worse = draft(task("one", "three", writes=["../x"]), task("one", title="a\nb"), unknown=1)
    script = Script([says(worse), says(draft(task("one", writes=["/x"]))), GOOD])
    proposal = await make_plan(job(tmp_path), script.ask, no_fault)
    back = script.asked[1].messages[-1].text
    for said in ("'../x'", "no task 'three'", "used twice", "line breaks", "unknown key `unknown`"):
        assert said in back
    assert "'/x' is absolute" in script.asked[2].messages[-1].text
    assert "'../x'" not in script.asked[2].messages[-1].text
    assert [len(question.messages) for question in script.asked] == [1, 3, 3]
    assert proposal.notes[-1] == "the planner needed 3 tries"


async def test_problems_of_the_acceptance_tests_go_back_like_any_other(tmp_path: Path) -> None:
    tried: list[Plan] = []

    async def check(plan: Plan) -> ScaffoldCheck:
        tried.append(plan)
        passes = Problem("'tests/test_one.py::test_one': passes", task="one")
        return ScaffoldCheck((passes,)) if len(tried) == 1 else ScaffoldCheck(notes=("tried elsewhere",))

    script = Script([says(draft(task("one", writes=[]))), GOOD, GOOD])
    proposal = await make_plan(job(tmp_path), script.ask, check)
    assert len(tried) == 2, "no test of a plan that breaks a rule is run"
    assert "task 'one': 'tests/test_one.py::test_one': passes" in script.asked[2].messages[-1].text
    assert "tried elsewhere" in proposal.notes


async def test_the_same_job_asks_the_same_questions(tmp_path: Path) -> None:
    asked = []
    for _ in range(2):
        script = Script([MALFORMED["a cycle"][0], GOOD, says({"findings": []})])
        await make_plan(job(tmp_path, {"planner": {"critic": True}}), script.ask, no_fault)
        asked.append(script.asked)
    assert asked[0] == asked[1]
    assert str(tmp_path) not in str(asked), "no place of this machine is told"


async def test_a_task_is_for_an_agent_that_knows_nothing_else(tmp_path: Path) -> None:
    second = task("two", "one", contract="`run() -> int`", tests=["tests/test_adding.py"], tier="fast", size="large")
    profiles = {"agents": {"deep-one": {"type": "command", "command": ["x"], "tier": "deep"}}}
    proposal = await make_plan(job(tmp_path, profiles), Script([says(draft(task("one"), second))]).ask, no_fault)
    one, two = proposal.plan.tasks
    for said in (
        "Add `calc/two.py`",
        "`calc/adding.py` shows",
        "`run() -> int`",
        "`one`: `calc.one.run`",
        "returns 1.",
    ):
        assert said in two.prompt
    assert (two.depends_on, two.writes, two.size) == (("one",), ("calc/two.py",), "large")
    assert two.tests == ("tests/test_two.py", "tests/test_adding.py"), "what must be green, its own first"
    assert list(one.acceptance) == ["tests/test_one.py"]
    assert two.tier == "deep", "no agent is fast or standard: the next deeper one"
    assert "shares" not in one.prompt, "a part that is empty is left out"
    assert proposal.plan.description == "Two modules."
    assert graph_of(proposal.plan).orderings == ()
    written = dump_manifest(proposal.plan, "markdown")
    assert parse_manifest(written, file="plan.md", spelling="markdown").plan == proposal.plan


async def test_without_profiles_of_a_tier_the_runs_own_agent_does_it(tmp_path: Path) -> None:
    proposal = await make_plan(job(tmp_path), Script([GOOD]).ask, no_fault)
    assert [spec.tier for spec in proposal.plan.tasks] == [None, None]


async def test_what_cannot_be_tested_is_said(tmp_path: Path) -> None:
    words = task("words", acceptance=[], untested="It is a text.", writes=["notes.txt"])
    kept = task("kept", acceptance=[], tests=["tests/test_adding.py::test_adds"])
    proposal = await make_plan(job(tmp_path), Script([says(draft(words, kept))]).ask, no_fault)
    assert proposal.notes == (
        "task 'words' has no acceptance test: It is a text.",
        "task 'kept' has no acceptance test: existing tests tell when it is done (tests/test_adding.py::test_adds)",
    )


async def test_a_rejected_proposal_is_made_again_with_what_the_person_said(tmp_path: Path) -> None:
    first = (await make_plan(job(tmp_path), Script([GOOD]).ask, no_fault)).plan
    feedback = [Feedback(first, "One task is enough."), Feedback(first, "And ```no``` docs.")]
    script = Script([says(draft(task("one", "none"))), says(draft(task("one")))])
    proposal = await make_plan(job(tmp_path, feedback=feedback), script.ask, no_fault)

    assert [spec.id for spec in proposal.plan.tasks] == ["one"]
    opening, shown, comments = script.asked[0].messages
    assert [opening.role, shown.role, comments.role] == ["user", "assistant", "user"]
    assert json.loads(shown.text)["tasks"][0]["id"] == "one"
    assert comments.text.index("One task is enough.") < comments.text.index("And ```no``` docs.")
    assert [message.role for message in script.asked[1].messages] == ["user", "assistant"] * 2 + ["user"]


FINDING: dict[str, JsonValue] = {
    "check": "missing-dependency",
    "tasks": ["two"],
    "problem": "It imports one.",
    "remedy": "Let it depend on one.",
}
CRITIC = {"planner": {"critic": True, "max_replan_attempts": 1}}


async def test_what_a_critic_finds_leads_to_one_revision(tmp_path: Path) -> None:
    revised = says(draft(task("one"), task("two", "one")))
    script = Script([GOOD, says({"findings": [FINDING]}), revised])
    proposal = await make_plan(job(tmp_path, CRITIC), script.ask, no_fault)

    assert proposal.plan.task("two").depends_on == ("one",)
    finding = "missing-dependency (two): It imports one. Let it depend on one."
    assert proposal.notes == (f"critic, before the plan was revised: {finding}",)
    plan, critic, revision = script.asked
    assert [plan.purpose, critic.purpose, revision.purpose] == ["plan", "critic", "plan"]
    assert critic.system != plan.system
    assert "calc/two.py" in critic.messages[0].text
    assert revision.messages[0] == plan.messages[0]
    assert revision.messages[1].text == GOOD_TEXT
    assert finding in revision.messages[2].text


@pytest.mark.parametrize(
    ("answers", "note"),
    [
        ([says({"findings": []})], "critic: nothing found"),
        ([Said("Looks good to me!")], "critic: no review came of it, and the plan is as it was"),
        ([says({"findings": [{**FINDING, "check": "style"}]})], "critic: no review came of it"),
        ([says({"findings": [FINDING]}), says({}), says({})], "critic: the plan is as it was before, since a revision"),
    ],
)
async def test_a_good_plan_outlives_a_critic(answers: list[Said], note: str, tmp_path: Path) -> None:
    script = Script([GOOD, *answers])
    proposal = await make_plan(job(tmp_path, CRITIC), script.ask, no_fault)
    assert len(script.asked) == 1 + len(answers)
    assert [spec.id for spec in proposal.plan.tasks] == ["one", "two"]
    assert proposal.notes[-1].startswith(note)


async def test_a_repositorys_own_template_is_used_and_told_by_its_version(tmp_path: Path) -> None:
    usual = await make_plan(job(tmp_path), Script([GOOD]).ask, no_fault)
    own = tmp_path / ".graftline" / "templates"
    own.mkdir(parents=True)
    (own / "task.md.j2").write_text("Do it our way: {{ task.what }}")
    proposal = await make_plan(job(tmp_path), Script([GOOD]).ask, no_fault)
    assert proposal.plan.tasks[0].prompt.startswith("Do it our way: Add `calc/one.py`")
    assert proposal.templates != usual.templates
