"""What agents asked a person: found again in a run's journal, whoever looks."""

from collections.abc import Sequence
from dataclasses import dataclass

from graftline.agents.outcome import POLICIES, Policy
from graftline.journal import Entry, EventKind
from graftline.records import AttemptRecord, task_records
from graftline.run import Run

ANSWER_CHARS = 10_000
# After these nobody waits for an answer any more; a run that is entered again asks anew.
_OVER = frozenset(
    {EventKind.QUESTION_ANSWERED, EventKind.ATTEMPT_STARTED, EventKind.TASK_FAILED, EventKind.TASK_SKIPPED}
)
_ALL_OVER = frozenset({EventKind.RUN_PREPARED, EventKind.RUN_ENDED})


@dataclass(frozen=True)
class Question:
    """A question that waits for an answer; `flow_run` is the Prefect flow run that waits for it."""

    task: str
    attempt: int
    text: str
    flow_run: str


@dataclass(frozen=True)
class Answer:
    """What a person answered to the question that an attempt ended with."""

    attempt: int
    question: str
    text: str


def open_questions(entries: Sequence[Entry]) -> tuple[Question, ...]:
    """The questions of a run that wait for an answer, in the order in which they were asked."""
    found: dict[str, Question] = {}
    for entry in entries:
        task = entry.task or ""
        if entry.event is EventKind.QUESTION_ASKED:
            text, flow_run = str(entry.data["text"]), str(entry.data["flow_run"])
            found[task] = Question(task, entry.attempt or 0, text, flow_run)
        elif entry.event in _ALL_OVER:
            found.clear()
        elif entry.event in _OVER:
            found.pop(task, None)
    return tuple(found.values())


def answers_for(entries: Sequence[Entry], task: str) -> tuple[Answer, ...]:
    """What people have answered to a task's agents so far."""
    return tuple(
        Answer(entry.attempt or 0, str(entry.data["question"]), str(entry.data["text"]))
        for entry in entries
        if entry.event is EventKind.QUESTION_ANSWERED and entry.task == task
    )


def is_stuck(record: AttemptRecord) -> bool:
    """Whether an attempt ended with a question for a person."""
    return POLICIES[record.outcome] is Policy.ASK_PERSON


def unanswered(run: Run, task: str, key: str) -> AttemptRecord | None:
    """The attempt of a task, from the same tree, that is stuck with a question nobody has answered yet."""
    *_, last = (None, *task_records(run.folder, task))
    if last is None or not is_stuck(last) or last.key != key:
        return None
    answered = {answer.attempt for answer in answers_for(run.journal.entries(), task)}
    return None if last.number in answered else last
