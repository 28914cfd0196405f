"""The planner: a request and what is known of the repository become a plan that may be carried out.

Nothing that a model wrote gets past this module unless it is a valid plan, exclusive in what it writes, with acceptance
tests that were seen to fail. Everything asked follows from the job alone: whoever plans again after a crash asks the
same questions and is given the recorded answers.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import JsonValue

from graftline.errors import PlannerError, Problem
from graftline.manifest import dump_manifest, parse_plan
from graftline.plan import Plan
from graftline.planning.asking import Ask
from graftline.planning.composition import compose_task, configured_tiers, draft_notes
from graftline.planning.draft import MAX_TASKS, Draft
from graftline.planning.prompts import Templates
from graftline.planning.provider import Answer, Message, Question
from graftline.planning.repair import Repaired, ask_until_valid
from graftline.planning.review import Review, read_review
from graftline.planning.scaffold import CheckScaffold
from graftline.planning.validation import Ground, check_tasks, read_draft
from graftline.settings import Settings
from graftline.text import plain_line
from graftline.verify.detect import TestCommand


@dataclass(frozen=True)
class Feedback:
    """An earlier proposal, and why a person did not want it."""

    plan: Plan
    comment: str


@dataclass(frozen=True)
class Job:
    """What a plan is made from: the request, what the model is shown of the repository, and what holds there.

    `feedback` are the proposals so far, the latest last.
    """

    request: str
    context: str
    settings: Settings
    templates: Templates
    ground: Ground
    test_command: TestCommand | None
    feedback: tuple[Feedback, ...] = ()


@dataclass(frozen=True)
class Proposal:
    """A plan that may be carried out; `notes` are for people, `templates` is the version of what it was asked with."""

    plan: Plan
    notes: tuple[str, ...]
    templates: str


@dataclass(frozen=True)
class _Valid:
    """A plan made of a valid answer, and what to say of it."""

    plan: Plan
    notes: tuple[str, ...]


async def make_plan(job: Job, ask: Ask, check_scaffold: CheckScaffold) -> Proposal:
    """The plan that a model makes of a request, once nothing is wrong with it any more.

    Raises:
        PlannerError: it did not become valid within the tries that the settings allow; every problem left is named.
            Also when nobody can be asked, or no money is left to ask.
        SettingsError: a template of the repository's own cannot be rendered.
        CannotRunError: the tests of the repository cannot be run at all.
    """
    writing = _Writing(job, ask, check_scaffold)
    first = await writing.write(conversation(job))
    if not job.settings.planner.critic:
        return _proposal(job, first)
    return await _criticised(job, ask, writing, first)


class _Writing:
    """Has a plan written, and repaired, in conversations that begin differently."""

    def __init__(self, job: Job, ask: Ask, check_scaffold: CheckScaffold) -> None:
        self._job = job
        self._ask = ask
        self._check_scaffold = check_scaffold
        self._tiers = configured_tiers(job.settings)

    async def write(self, messages: Sequence[Message]) -> Repaired[_Valid]:
        """A valid plan, as the answer to a conversation."""
        job = self._job
        question = planning_question(job, "plan", messages, Draft.model_json_schema())
        tries = 1 + job.settings.planner.max_replan_attempts
        return await ask_until_valid(question, self._ask, self._judge, templates=job.templates, tries=tries)

    async def _judge(self, answer: Answer) -> _Valid | tuple[Problem, ...]:
        if answer.data is None:
            return (Problem(answer.problem),)
        draft = read_draft(answer.data)
        if not isinstance(draft, Draft):
            return draft
        tasks = [compose_task(task, self._job.templates, self._tiers) for task in draft.tasks]
        problems = await check_tasks(tasks, self._job.ground)
        if problems:
            return problems
        data = {
            "title": draft.title,
            "description": draft.summary,
            "tasks": [task.model_dump(mode="json") for task in tasks],
        }
        manifest = parse_plan(data)  # as strictly as a plan that a person wrote
        scaffold = await self._check_scaffold(manifest.plan)
        if scaffold.problems:
            return scaffold.problems
        return _Valid(manifest.plan, (*manifest.notes, *draft_notes(draft), *scaffold.notes))


async def _criticised(job: Job, ask: Ask, writing: _Writing, first: Repaired[_Valid]) -> Proposal:
    """The plan after a critic has looked at it and it was revised once; as it was where that leads to nothing."""
    try:
        review = await _review(job, ask, first.value.plan)
        if review is None:
            return _proposal(job, first, "critic: no review came of it, and the plan is as it was")
        if not review.findings:
            return _proposal(job, first, "critic: nothing found")
        findings = [str(finding) for finding in review.findings]
        revision = Message("user", job.templates.render("revision", findings=findings))
        revised = await writing.write([*conversation(job), first.said, revision])
    except PlannerError as error:  # the plan that there is remains good
        reason = plain_line(str(error), 500)
        return _proposal(
            job, first, f"critic: the plan is as it was before, since a revision was not to be had: {reason}"
        )
    return _proposal(job, revised, *(f"critic, before the plan was revised: {finding}" for finding in findings))


async def _review(job: Job, ask: Ask, plan: Plan) -> Review | None:
    shown = dump_manifest(plan, "json")
    text = job.templates.render("review", context=job.context, request=job.request, plan=shown)
    question = Question(
        purpose="critic",
        system=job.templates.render("critic"),
        messages=(Message("user", text),),
        schema=Review.model_json_schema(),
        schema_name="review",
        max_output_tokens=job.settings.planner.output_tokens,
    )
    return read_review((await ask(question)).data)


def planning_question(
    job: Job, name: Literal["plan", "patch"], messages: Sequence[Message], schema: Mapping[str, JsonValue]
) -> Question:
    """What a planner is asked with a conversation, by the rules that hold for whatever it writes."""
    tiers, runner = list(configured_tiers(job.settings)), _runner(job.test_command)
    return Question(
        purpose=name,
        system=job.templates.render("planner", max_tasks=MAX_TASKS, tiers=tiers, runner=runner),
        messages=tuple(messages),
        schema=schema,
        schema_name=name,
        max_output_tokens=job.settings.planner.output_tokens,
    )


def conversation(job: Job) -> list[Message]:
    """The request and, once a person has rejected a plan, the latest one with all that was said so far."""
    messages = [Message("user", job.templates.render("request", context=job.context, request=job.request))]
    if job.feedback:
        comments = [feedback.comment for feedback in job.feedback]
        messages += [
            Message("assistant", dump_manifest(job.feedback[-1].plan, "json")),
            Message("user", job.templates.render("rejection", comments=comments)),
        ]
    return messages


def _runner(command: TestCommand | None) -> str:
    if command is None:
        return "none"
    return "pytest" if command.is_pytest else "other"


def _proposal(job: Job, written: Repaired[_Valid], *notes: str) -> Proposal:
    tries = (f"the planner needed {written.tries} tries",) if written.tries > 1 else ()
    return Proposal(written.value.plan, (*written.value.notes, *notes, *tries), job.templates.version)
