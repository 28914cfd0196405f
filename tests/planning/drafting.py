"""What a model might answer when it is asked for a plan, and a way to ask that plays such answers."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import JsonValue

from graftline.agents.outcome import Usage
from graftline.plan import Plan
from graftline.planning.answer import read_answer
from graftline.planning.planner import Feedback, Job
from graftline.planning.prompts import load_templates
from graftline.planning.provider import Answer, Question, Stop
from graftline.planning.scaffold import ScaffoldCheck
from graftline.planning.validation import Ground
from graftline.settings import Settings
from graftline.verify.detect import TestCommand

TRACKED = frozenset({"calc/__init__.py", "calc/adding.py", "tests/test_adding.py", "notes.txt", ".gitignore", "link"})
PYTEST = TestCommand(("python", "-m", "pytest"), "pytest", "python")

Fields = dict[str, JsonValue]


def red_test(name: str) -> str:
    """A test file that is collected, and fails until a module of that name has a function `run`."""
    return f"def test_{name}():\n    from calc.{name} import run\n\n    assert run() == 1\n"


def task(name: str, *needs: str, **fields: JsonValue) -> Fields:
    """A good task, whose test is red until `calc/<name>.py` is there."""
    return {
        "id": name,
        "title": f"Add {name}",
        "what": f"Add `calc/{name}.py` with `run()`, which returns 1.",
        "where": "`calc/adding.py` shows the style.",
        "contract": "",
        "done_when": ["`run()` returns 1."],
        "writes": [f"calc/{name}.py"],
        "read_only": False,
        "depends_on": [{"task": need, "what": f"`calc.{need}.run`"} for need in needs],
        "acceptance": [{"path": f"tests/test_{name}.py", "content": red_test(name)}],
        "untested": "",
        "tests": [],
        "size": "small",
        "tier": "standard",
        **fields,
    }


def draft(*tasks: JsonValue, **fields: JsonValue) -> Fields:
    """A draft with these tasks, or with two good ones."""
    return {"title": "Grow", "summary": "Two modules.", "tasks": list(tasks or (task("one"), task("two"))), **fields}


@dataclass(frozen=True)
class Said:
    """What a model said, and why it stopped."""

    text: str
    stop: Stop = "end"


def says(data: JsonValue) -> Said:
    """A model that said nothing but this."""
    return Said(json.dumps(data))


@dataclass
class Script:
    """A model that says one thing after the other; `asked` holds the questions that it answered."""

    answers: Sequence[Said]
    asked: list[Question] = field(default_factory=list)

    async def ask(self, question: Question) -> Answer:
        """The next answer, read as providers read it."""
        said = self.answers[len(self.asked)]
        self.asked.append(question)
        return read_answer(question, said.text, stop=said.stop, usage=Usage(cost_usd=0.01), model="scripted")


async def find_ignored(paths: Iterable[str]) -> frozenset[str]:
    """A repository that ignores what lies in `build`."""
    return frozenset(path for path in paths if path.startswith("build/"))


async def no_fault(plan: Plan) -> ScaffoldCheck:
    """A check of acceptance tests that finds nothing."""
    del plan
    return ScaffoldCheck()


def job(folder: Path, settings: Mapping[str, object] | None = None, *, feedback: Sequence[Feedback] = ()) -> Job:
    """A request for two modules, in a repository whose own templates are in the folder."""
    return Job(
        request="Add the modules one and two.",
        context="# Files\n\ncalc/adding.py",
        settings=Settings.model_validate(settings or {}),
        templates=load_templates(folder),
        ground=Ground(TRACKED, find_ignored),
        test_command=PYTEST,
        feedback=tuple(feedback),
    )
