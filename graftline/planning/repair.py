"""Asking until the answer is valid: what is wrong goes back to the model in one message, a bounded number of times."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from graftline.errors import Problem, UselessAnswersError
from graftline.planning.asking import Ask
from graftline.planning.prompts import Templates
from graftline.planning.provider import Answer, Message, Question
from graftline.text import excerpt, plain_line

SHOWN_PROBLEMS = 40
_PROBLEM_CHARS = 800
_NAME_CHARS = 64
_ANSWER_BYTES = 400_000
_USELESS_BYTES = 8_000
NOTHING_SAID = "(no answer)"

Valid = TypeVar("Valid")
Judge = Callable[[Answer], Awaitable[Valid | tuple[Problem, ...]]]
"""Makes something of an answer, or says everything that is wrong with it."""


@dataclass(frozen=True)
class Repaired(Generic[Valid]):
    """What came of a question at last: the valid thing, what the model said for it, and how often it was asked."""

    value: Valid
    said: Message
    tries: int


async def ask_until_valid(
    question: Question, ask: Ask, judge: Judge[Valid], *, templates: Templates, tries: int
) -> Repaired[Valid]:
    """Ask, and ask again with all problems of the latest answer, until there is none or the tries are used up.

    Raises:
        UselessAnswersError: the last answer had problems too; all of them are in the message.
    """
    asked, problems = question, list[str]()
    for number in range(1, tries + 1):
        answer = await ask(asked)
        said = Message("assistant", _what_was_said(answer))
        judged = await judge(answer)
        if not isinstance(judged, tuple):
            return Repaired(judged, said, number)
        problems = describe_problems(judged)
        repair = templates.render("repair", problems=problems, number=number, tries=tries)
        asked = replace(question, messages=(*question.messages, said, Message("user", repair)))
    count = "1 try" if tries == 1 else f"{tries} tries"
    listed = ";\n".join(f"  {problem}" for problem in problems)  # read on one line, too, in a report
    raise UselessAnswersError(
        f"the planner gave no usable answer in {count} (asked for: {question.purpose}). Say more in the request, ask "
        "for less, raise `[planner] max_replan_attempts`, take a more capable `[planner] model`, or write the plan by "
        f"hand. What is wrong with the last answer:\n{listed}"
    )


def describe_problems(problems: Sequence[Problem]) -> list[str]:
    """Problems as lines that can be shown and sent back, whatever a model has written into them."""
    lines = [plain_line(str(_with_short_name(problem)), _PROBLEM_CHARS) for problem in problems[:SHOWN_PROBLEMS]]
    left_out = len(problems) - len(lines)
    return [*lines, f"and {left_out} more"] if left_out else lines


def _with_short_name(problem: Problem) -> Problem:
    """A problem that can be read, although what the model gave its task for an id is a book."""
    return replace(problem, task=problem.task and plain_line(problem.task, _NAME_CHARS))


def _what_was_said(answer: Answer) -> str:
    """The answer as the conversation goes on from it; of what nothing can be made, only a little."""
    return excerpt(answer.text, _USELESS_BYTES if answer.data is None else _ANSWER_BYTES).strip() or NOTHING_SAID
