"""The task run of one plan task: an attempt, with Prefect's retries, timeout and result cache around it."""

from dataclasses import dataclass
from typing import Any

from prefect import Task, task
from prefect.cache_policies import CacheKeyFnPolicy
from prefect.client.schemas.objects import State, TaskRun
from prefect.context import TaskRunContext

from graftline.agents.outcome import ANOTHER_ATTEMPT, POLICIES, OutcomeKind
from graftline.agents.prompt import frame_go_on, frame_prompt
from graftline.attempt import Ask, perform_attempt, reserve_place
from graftline.continuation import continuation_of, work_so_far
from graftline.integration import Base, find_task
from graftline.plan import TaskSpec
from graftline.questions import answers_for, is_stuck
from graftline.records import AttemptRecord
from graftline.run import Run, live_run

BACKSTOP_SECONDS = 120.0
"""Prefect's timeout comes this much after the attempt's own, which ends the agent and still keeps its work."""
RETRY_DELAYS_SECONDS = [2.0, 10.0, 30.0]


@dataclass(frozen=True)
class Attempted:
    """What a finished attempt's task run returns: its record, with nothing beside it.

    Prefect remembers every field of a result by its address, and draws an edge from the task run to each later one that
    is handed the same string, such as a base, or another one at an address that is free again. It goes one level deep,
    and knows a record for sure, unlike a string.
    """

    record: AttemptRecord


class AttemptFailedError(Exception):
    """An attempt that did not make it; fails the task run, whose message it is.

    An exception and not a returned state, because Prefect would keep a returned failure in its result cache.
    """

    def __init__(self, run_id: str, record: AttemptRecord) -> None:
        self.run_id = run_id
        self.record = record
        super().__init__(run_id, record)

    def __str__(self) -> str:
        return f"attempt {self.record.number}: {self.record.outcome}: {self.record.detail}"


class AttemptTimedOutError(AttemptFailedError, TimeoutError):
    """An attempt that ran out of time; a `TimeoutError`, so that Prefect shows the task run as TimedOut."""


def key_of(_context: TaskRunContext, parameters: dict[str, Any]) -> str:
    """The result cache's key: the run and the attempt's own key (task, spec digest and base tree)."""
    return f"{parameters['run_id']}-{parameters['key']}"


async def may_retry(_task: Task[..., Any], _task_run: TaskRun, state: State[Any]) -> bool:
    """Whether another attempt is worth paying for: the outcome's policy says so and the run has extra attempts left.

    Prefect asks only while the task itself has retries left, so a claimed extra attempt is always used.
    """
    error = await state.aresult(raise_on_failure=False)
    if not isinstance(error, AttemptFailedError) or POLICIES[error.record.outcome] not in ANOTHER_ATTEMPT:
        return False
    return live_run(error.run_id).claim_retry()


@task(
    name="attempt",
    persist_result=True,
    cache_policy=CacheKeyFnPolicy(cache_key_fn=key_of),
    retry_condition_fn=may_retry,
    log_prints=False,
)
async def attempt(run_id: str, task_id: str, base: str, key: str) -> Attempted:
    """One plan task: finished work found in git, else one attempt by an agent."""
    run = live_run(run_id)
    record = await find_task(run, task_id, Base(commit=base, key=key))
    if record is None:
        ask = await next_ask(run, run.plan.task(task_id), base, key)
        continues = ask.continuation.number if ask.continuation is not None else None
        record = await perform_attempt(run, ask, await reserve_place(run, task_id, base, continues=continues))
    if record.is_done:
        return Attempted(record)
    failure = AttemptTimedOutError if record.outcome is OutcomeKind.TIMED_OUT else AttemptFailedError
    raise failure(run_id, record)


async def next_ask(run: Run, spec: TaskSpec, base: str, key: str) -> Ask:
    """What a task's next attempt is asked to do: the whole task or, where one was cut short, the rest of it."""
    context = run.context_of(spec)
    answers = [(one.question, one.text) for one in answers_for(run.journal.entries(), spec.id)]
    continuation = continuation_of(run, spec.id, key, run.agent(spec))
    if continuation is None:
        prompt = frame_prompt(spec, plan_title=run.plan.title, context=context, answers=answers)
        return Ask(spec=spec, base=base, key=key, prompt=prompt)
    done = await work_so_far(run, continuation, base)
    return Ask(
        spec=spec,
        base=base,
        key=key,
        prompt=frame_prompt(spec, plan_title=run.plan.title, context=context, done=done, answers=answers),
        continuation=continuation,
        go_on=frame_go_on("" if is_stuck(continuation.record) else continuation.record.detail, answers=answers),
    )


def attempt_task(run: Run, spec: TaskSpec, *, retries: int) -> Task[..., Any]:
    """The `attempt` task as one plan task needs it: its name, retries, timeout and where its result is kept."""
    return attempt.with_options(
        name=spec.id,
        task_run_name=spec.id,
        retries=retries,
        retry_delay_seconds=RETRY_DELAYS_SECONDS,
        # It may first wait for what another agent holds in reserve of the caps.
        timeout_seconds=max(map(run.timeout_seconds, run.plan.tasks)) + run.timeout_seconds(spec) + BACKSTOP_SECONDS,
        result_storage=run.folder.results,
    )
