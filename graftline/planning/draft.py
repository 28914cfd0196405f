"""What the planner writes: the draft of a plan, flat enough for the structured output of every provider.

A draft says in fields of their own what a fresh agent has to know of its task, so that nothing is forgotten. What a
plan must not be told by a model (who does a task, its environment, its limits) has no field here.
"""

from typing import Annotated, Final, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from graftline.agents.tiers import Tier
from graftline.plan import RULE, FilePath, OneLine, Pattern, Prompt, Size, TaskId, TestName, Text
from graftline.text import find_hidden

MAX_TASKS: Final = 50
MAX_ITEMS: Final = 40
MAX_FILES: Final = 10


def _within(max_chars: int) -> AfterValidator:
    """At most so many characters, none of which shows a person something else than it says."""

    def check(text: str) -> str:
        if len(text) > max_chars:
            _break_rule(f"{len(text)} characters; at most {max_chars}")
        if hidden := find_hidden(text):
            _break_rule(f"holds the hidden or control character {hidden}")
        return text

    return AfterValidator(check)


def _no_option(path: str) -> str:
    if path.startswith("-"):
        _break_rule("would be read as an option of the test runner")
    return path


def _said(text: str) -> str:
    if not text.strip():
        _break_rule("there is nothing in it")
    return text


def _break_rule(message: str) -> None:
    raise PydanticCustomError(RULE, "{message}", {"message": message})


Reason = Annotated[OneLine, _within(500), AfterValidator(_said)]
Heading = Annotated[OneLine, _within(120)]
Sentence = Annotated[Text, _within(1_000)]
Paragraphs = Annotated[Text, _within(8_000)]
Instructions = Annotated[Prompt, _within(20_000)]
Place = Annotated[Pattern, _within(500)]
TestPath = Annotated[FilePath, _within(500), AfterValidator(_no_option)]
Code = Annotated[Prompt, _within(60_000)]
ExistingTest = Annotated[TestName, _within(500)]


class Part(BaseModel):
    """A part of what the planner writes: every key is said, and no other."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Need(Part):
    """What one task cannot begin without."""

    task: TaskId = Field(description="Id of the task that makes it")
    what: Sentence = Field(description="The very thing that task adds and this one uses: a function, a file, a format")


class AcceptanceTest(Part):
    """A test file that is red before the task and green after it."""

    path: TestPath = Field(description="New file, where this repository's test runner finds it")
    content: Code = Field(description="The whole file")


class DraftTask(Part):
    """One piece of work for one agent that sees nothing but this task and the repository."""

    id: TaskId = Field(description="Short name: letters, digits, _ and -")
    title: Heading = Field(description="One line for people")
    what: Instructions = Field(description="What to do, complete: behaviour, names, signatures, edge cases, errors")
    where: Paragraphs = Field(description="Existing files and symbols to start from, and what each is for")
    contract: Paragraphs = Field(
        description="Names, signatures and formats that it shares with other tasks, word for word the same in each; "
        "empty when it shares nothing"
    )
    done_when: tuple[Sentence, ...] = Field(
        min_length=1, max_length=MAX_ITEMS, description="Criteria that can be checked, one each"
    )
    writes: tuple[Place, ...] = Field(
        max_length=MAX_ITEMS,
        description="Every file or folder it changes or adds, from the repository's root; no two tasks that may run "
        "side by side share one; empty only when read_only",
    )
    read_only: bool = Field(strict=True, description="It reports and changes no file")
    depends_on: tuple[Need, ...] = Field(
        max_length=MAX_ITEMS, description="Only what it cannot be done without; empty when it can start at once"
    )
    acceptance: tuple[AcceptanceTest, ...] = Field(
        max_length=MAX_FILES, description="Tests that fail now and pass when the task is done"
    )
    untested: Sentence = Field(
        description="Why no test can tell when it is done (documentation, for example); empty when one can"
    )
    tests: tuple[ExistingTest, ...] = Field(
        max_length=MAX_ITEMS, description="Existing test files that it must keep green above all"
    )
    size: Size = Field(description="small: minutes in one file; medium: a few files; large: the most one agent can do")
    tier: Tier = Field(description="Agent it needs: fast for routine, standard, or deep where it takes thought")

    @model_validator(mode="after")
    def _check(self) -> Self:
        paths = [test.path for test in self.acceptance]
        if repeated := sorted({path for path in paths if paths.count(path) > 1}):
            _break_rule(f"`acceptance` has more than one file {', '.join(map(repr, repeated))}")
        if self.read_only and (self.writes or self.acceptance):
            _break_rule("a read_only task changes nothing: it has neither `writes` nor `acceptance`")
        if not self.read_only and not (self.acceptance or self.tests or self.untested.strip()):
            _break_rule(
                "nothing tells when it is done: write an acceptance test, name existing `tests` that tell, or say in "
                "`untested` why none can"
            )
        return self


class Draft(Part):
    """A plan: tasks for agents that work side by side, each alone."""

    title: Heading = Field(description="One line that names the whole change")
    summary: Paragraphs = Field(description="For the person who approves it: how the request is split, and why so")
    tasks: tuple[DraftTask, ...] = Field(
        min_length=1, max_length=MAX_TASKS, description="The tasks; a single one when splitting would not pay"
    )
