"""What a model might answer when it is asked for a plan, and a way to ask that plays such answers."""

import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import JsonValue

from graftline.agents.outcome import Usage
from graftline.plan import Plan
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


def answer(data: Mapping[str, JsonValue] | None, *, text: str = "", stop: Stop = "end", problem: str = "") -> Answer:
    """An answer as a provider gives it."""
    said = text or (json.dumps(data) if data is not None else "")
    return Answer(data, said, stop, Usage(cost_usd=0.01), "scripted", problem)


@dataclass
class Script:
    """Answers played one after the other; `asked` holds the questions that got them."""

    answers: list[Answer]
    asked: list[Question] = field(default_factory=list)

    async def ask(self, question: Question) -> Answer:
        """The next answer."""
        self.asked.append(question)
        return self.answers[len(self.asked) - 1]


def script(*answers: Answer) -> Script:
    """Answers to be played."""
    return Script(list(answers))


async def nothing_ignored(paths: Iterable[str]) -> frozenset[str]:
    """The repository ignores what lies in `build`."""
    return frozenset(path for path in paths if path.startswith("build/"))


async def no_fault(plan: Plan) -> ScaffoldCheck:
    """A check of acceptance tests that finds nothing."""
    del plan
    return ScaffoldCheck()


def job(
    folder: Path, *, settings: Mapping[str, object] | None = None, feedback: Sequence[Feedback] = (), **fields: object
) -> Job:
    """A request for two modules."""
    del fields
    return Job(
        request="Add the modules one and two.",
        context="# Files\n\ncalc/adding.py",
        settings=Settings.model_validate(settings or {}),
        templates=load_templates(folder),
        ground=Ground(TRACKED, nothing_ignored),
        test_command=PYTEST,
        feedback=tuple(feedback),
    )


Check = Callable[[Plan], Awaitable[ScaffoldCheck]]
