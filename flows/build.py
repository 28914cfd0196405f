"""The main flow: prepare → plan → execute → merge → verify → heal → land → report.

Entered again after a crash, it goes through the same steps from the top: each finds what is already done in git and in
the run's records, and does the rest.
"""

from typing import Any

from prefect import flow, runtime
from prefect.client.schemas.objects import State
from prefect.exceptions import FailedRun, Pause

from graftline.carrying import carry_through
from graftline.closing import close, is_complete
from graftline.flows.execute import emit
from graftline.flows.heal import heal
from graftline.flows.merge import merge
from graftline.flows.replan import go_on_replanning, replan
from graftline.flows.settle import settle
from graftline.healing import is_better
from graftline.integration import replay_candidate
from graftline.interruption import interrupt_once
from graftline.journal import EventKind, listening
from graftline.report.sentences import log_entry
from graftline.request import BuildRequest
from graftline.retirement import remove_retired
from graftline.run import RUN_TIMED_OUT, Run, close_run
from graftline.tasks.events import emitting
from graftline.tasks.land import land_commit
from graftline.tasks.prepare import prepare
from graftline.tasks.report import publish_report, state_of
from graftline.tasks.verify import baseline, verify
from graftline.tasks.watch import is_cancelled, watching
from graftline.verification import Verified

MOST_LANDINGS = 3
"""How often a result is brought onto a target that moved meanwhile before it is left on its branch."""


@flow(name="build", persist_result=False, log_prints=False)
async def build(request: BuildRequest) -> State[None]:
    """Build one request: agents in worktrees, merge, tests, heal, landing.

    Args:
        request: What to build, on which repository, within which limits.
    """
    return await interrupt_once(carry_out(request))


async def carry_out(request: BuildRequest) -> State[None]:
    """A run from its preparation to its report."""
    run_id = str(runtime.flow_run.id)
    with listening(log_entry), listening(emitting(run_id)):
        run = await prepare(request, run_id)
        ending: BaseException | None = None
        try:
            async with watching(run):
                with run.clock.limit(run.settings.timeouts.run_seconds) as scope:
                    await pipeline(run)
                if scope.cancelled_caught:
                    run.stop_reason = run.stop_reason or RUN_TIMED_OUT
        except Exception as error:
            ending = error
            raise
        except BaseException as error:
            ending = error
            if isinstance(error, Pause) or not await carry_through(is_cancelled(run)):
                raise
        finally:
            try:
                if not isinstance(ending, Pause):  # a suspended run goes on in another process
                    # A report is written for every run that ends, however it does, and before Prefect is told anything.
                    report = close(run, ending)
                await carry_through(remove_retired(run))
            finally:
                close_run(run)
        await publish_report(report)
        return state_of(report)


async def pipeline(run: Run) -> None:
    """The steps of a run, from its plan to the landing."""
    if not await settle(run):
        return
    await baseline(run.id)
    await carry_out_plan(run)
    integration = await merge(run.id)
    if not integration.merged:
        return
    verified = await verify_and_heal(run, integration.commit)
    if verified.verdict.passed:
        await land(run, verified)


async def carry_out_plan(run: Run) -> None:
    """All tasks, and what a patch of the plan leaves to do after that."""
    await go_on_replanning(run)
    await run_tasks(run)
    while await replan(run):
        await run_tasks(run)


async def run_tasks(run: Run) -> None:
    """The tasks of the plan as it is now."""
    execute: Any = emit(run.plan)  # Prefect's types do not know that a state asked for is awaited
    await raise_defect(await execute(run.id, return_state=True))


async def raise_defect(executed: State[None]) -> None:
    """Raise what ended `execute` itself; tasks that failed are its ordinary outcome, a state it returned."""
    error = await executed.aresult(raise_on_failure=False)
    if isinstance(error, BaseException) and not isinstance(error, FailedRun):
        raise error


async def verify_and_heal(run: Run, candidate: str) -> Verified:
    """The best candidate after at most `[heal] max_rounds` rounds, with its verdict."""
    verified = await verify(run.id, candidate, "candidate")
    for number in range(1, run.settings.heal.max_rounds + 1):
        if verified.verdict.passed or run.stop_reason:
            break
        healed = await heal(run.id, number, verified.commit)
        if healed is None:
            break
        again = await verify(run.id, healed, f"round-{number}", number=number, fresh=healed == verified.commit)
        if is_better(verified, again):
            verified = again
        else:
            run.journal.append(EventKind.HEAL_DROPPED, round=number)
    return verified


async def land(run: Run, verified: Verified) -> None:
    """Land what was verified. When the target moved meanwhile, the result is brought onto it and verified again."""
    onto = run.base
    mode = run.settings.git.land if is_complete(run) or run.settings.git.partial else "branch"
    for number in range(1, MOST_LANDINGS + 1):
        result = await land_commit(run.id, verified.commit, onto, mode)
        if not result.moved:
            return
        moved = await replay_candidate(run, verified.commit, onto)
        if moved is None:
            break
        again = await verify(run.id, moved.commit, f"moved-{number}")
        if not again.verdict.passed:
            reason = f"{run.pinned.target} moved, and on it this run's work is red: {again.verdict.reason}"
            run.journal.append(EventKind.WARNING, text=reason)
            break
        onto, verified = moved.onto, again
    await land_commit(run.id, verified.commit, onto, "branch")
