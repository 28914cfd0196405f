"""Emits a Prefect flow from a plan: one task run per plan task, started the moment its predecessors have finished.

Every plan task ends in a final state. One that must not run is `Skipped` and says why: a failed task takes its
dependents with it and nothing else.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from prefect import Flow, allow_failure, flow
from prefect.client.schemas.objects import State
from prefect.states import Completed, Failed

from graftline.agents.outcome import OutcomeKind
from graftline.flows.question import ask_person
from graftline.integration import Collision, base_of
from graftline.interruption import signals_held
from graftline.journal import EventKind
from graftline.plan import Graph, Plan, graph_of
from graftline.questions import is_stuck, unanswered
from graftline.records import AttemptRecord, count_own_attempts
from graftline.run import NOT_STARTED, Run, live_run
from graftline.tasks.attempt import Attempted, AttemptFailedError, attempt_task
from graftline.tasks.skip import SKIPPED, skip_task
from graftline.tasks.slots import Slots


def emit(plan: Plan) -> Flow[..., Any]:
    """The plan as a Prefect flow; it takes the id of an open run of that plan."""
    graph = graph_of(plan)

    @flow(name="execute", flow_run_name="execute", persist_result=False, log_prints=False)
    async def execute(run_id: str) -> State[None]:
        """All tasks of the plan."""
        with signals_held():
            return await run_nodes(live_run(run_id), graph)

    return execute


async def run_nodes(run: Run, graph: Graph) -> State[None]:
    """One task run per plan task, each awaiting its predecessors' states and then its turn."""
    slots = await Slots.of(run)
    nodes: dict[str, asyncio.Task[State[Attempted]]] = {}
    async with asyncio.TaskGroup() as group:
        for task_id in graph.order:
            nodes[task_id] = group.create_task(run_node(run, graph, slots, nodes, task_id))
    return closing_state({task_id: node.result() for task_id, node in nodes.items()})


async def run_node(
    run: Run, graph: Graph, slots: Slots, nodes: Mapping[str, asyncio.Task[State[Attempted]]], task_id: str
) -> State[Attempted]:
    """The final state of one plan task, recorded in the journal."""
    before = {name: await nodes[name] for name in graph.waits_for(task_id)}
    # A skipped predecessor is Cancelled, which `allow_failure` does not let through: its edge would end this task run
    # as NotReady, a state that never becomes final.
    edges = [allow_failure(state) for state in before.values() if state.name != SKIPPED]
    missing = [name for name in graph.dependencies(task_id) if not before[name].is_completed()]
    if missing:
        return await skipped(run, task_id, f"{' and '.join(missing)} did not finish", edges)
    finished = {name: (await node.result().aresult()).record for name, node in nodes.items() if is_finished(node)}
    base = await base_of(run, task_id, finished)
    if isinstance(base, Collision):
        return await skipped(run, task_id, str(base), edges)
    if task_id in run.given_up:  # before the plan was patched for another task
        return await record_end(run, task_id, gave_up(run, run.given_up[task_id]))
    spec = run.plan.task(task_id)
    failures = count_own_attempts(run.folder, task_id)
    while True:
        stuck = unanswered(run, task_id, base.key)
        if stuck is not None and (why := await ask_person(run, stuck)):
            return await record_end(run, task_id, left_alone(run, stuck, why))
        async with slots.hold(spec):
            if run.stop_reason:
                return await skipped(run, task_id, f"{NOT_STARTED}{run.stop_reason}", edges)
            # A task run for each wait: what the attempts before it used up of the task's retries is gone.
            left = run.max_retries(spec) + failures - count_own_attempts(run.folder, task_id)
            called = attempt_task(run, spec, retries=max(0, left))
            state = await called(run.id, task_id, base.commit, base.key, wait_for=edges, return_state=True)
        record = await record_of(state)
        if record is None or not (is_stuck(record) or await slots.providers.must_wait(spec, record)):
            return await record_end(run, task_id, state)


async def record_of(state: State[Attempted]) -> AttemptRecord | None:
    """The record of a task run's last attempt; None when it ended otherwise."""
    result = await state.aresult(raise_on_failure=False)
    return result.record if isinstance(result, Attempted | AttemptFailedError) else None


async def skipped(run: Run, task_id: str, reason: str, edges: list[allow_failure]) -> State[Attempted]:
    """End a plan task without running it."""
    run.journal.append(EventKind.TASK_SKIPPED, task=task_id, reason=reason)
    state: State[Attempted] = await skip_task(task_id)(reason, wait_for=edges, return_state=True)
    return state


async def record_end(run: Run, task_id: str, state: State[Attempted]) -> State[Attempted]:
    """Write a plan task's end into the journal, which is what reports are made from."""
    if state.is_completed():
        run.journal.append(EventKind.TASK_SUCCEEDED, task=task_id)
        return state
    error = await state.aresult(raise_on_failure=False)
    if isinstance(error, AttemptFailedError):
        run.given_up[task_id] = error.record
    if isinstance(error, AttemptFailedError) and error.record.outcome is OutcomeKind.BUDGET:
        run.journal.append(EventKind.TASK_STOPPED, task=task_id, reason=error.record.detail)
    else:
        run.journal.append(EventKind.TASK_FAILED, task=task_id, reason=str(error) or state.name)
    return state


def left_alone(run: Run, stuck: AttemptRecord, why: str) -> State[Attempted]:
    """The end of a plan task whose question nobody has answered."""
    return gave_up(run, stuck.model_copy(update={"detail": f"{why}: {stuck.detail}"}))


def gave_up(run: Run, record: AttemptRecord) -> State[Attempted]:
    """The end of a plan task that has nobody at work on it any more."""
    return Failed(message=record.detail, data=AttemptFailedError(run.id, record))


def is_finished(node: asyncio.Task[State[Attempted]]) -> bool:
    """Whether a plan task has ended well, so that its work can be built upon."""
    return node.done() and not node.cancelled() and node.result().is_completed()


def closing_state(states: Mapping[str, State[Attempted]]) -> State[None]:
    """The state of the whole: explicit, because a flow that just returns is Completed although tasks failed."""
    unfinished = [task_id for task_id, state in states.items() if not state.is_completed()]
    if unfinished:
        return Failed(message=f"{len(unfinished)} of {len(states)} tasks did not finish: {', '.join(unfinished)}")
    return Completed(message=f"all {len(states)} tasks finished")
