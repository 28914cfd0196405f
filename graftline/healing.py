"""Healing: which red tests go back to which agent, and what that agent is asked to do about them."""

from dataclasses import dataclass

from graftline.agents.prompt import frame_heal_prompt
from graftline.attempt import Ask, heal_place, perform_attempt
from graftline.integration import changed_files
from graftline.journal import EventKind
from graftline.records import AttemptRecord, find_finished, heal_records, task_key
from graftline.run import Run
from graftline.verification import Verified
from graftline.verify.blame import responsible_tasks
from graftline.verify.result import TestFailure


@dataclass(frozen=True)
class Assigned:
    """The failures that one task answers for in one round."""

    task: str
    failures: tuple[TestFailure, ...]


async def assign(run: Run, failures: tuple[TestFailure, ...]) -> tuple[Assigned, ...]:
    """Who answers for which failure, within what `[heal] max_per_task` leaves each task."""
    changed = await changed_files(run)
    owned = {spec.id: frozenset({*spec.tests, *spec.acceptance}) for spec in run.plan.tasks if spec.id in changed}
    order = [task for task in run.graph.order if task in changed]
    blamed = responsible_tasks(failures, changed=changed, tests_of=owned, order=order)
    return tuple(
        Assigned(task, found)
        for task, found in blamed.items()
        if found and sum(record.counts for record in heal_records(run.folder, task)) < run.settings.heal.max_per_task
    )


async def heal_task(run: Run, candidate: str, assigned: Assigned, number: int) -> AttemptRecord:
    """One agent call that gets a task's own prompt, the candidate's tree and the failures; found again when done."""
    spec = run.plan.task(assigned.task)
    key = task_key(spec, f"{await run.hub.tree_of(candidate)} heal {number}")
    known = await find_finished(run.hub, heal_records(run.folder, spec.id), key, run.ref("heal"))
    if known is not None:
        return known
    failures = [f"{failure.test}\n{failure.message}\n{failure.trace}" for failure in assigned.failures]
    prompt = frame_heal_prompt(spec, plan_title=run.plan.title, failures=failures)
    run.journal.append(EventKind.HEAL_STARTED, task=spec.id, round=number, tests=[f.test for f in assigned.failures])
    ask = Ask(spec=spec, base=candidate, key=key, prompt=prompt)
    record = await perform_attempt(run, ask, heal_place(run, spec.id, number))
    record_heal(run, record, [failure.test for failure in assigned.failures])
    return record


def record_heal(run: Run, record: AttemptRecord, tests: list[str]) -> None:
    """Write the end of a heal call into the journal; `tests` are those it was given."""
    run.journal.append(
        EventKind.HEAL_ENDED,
        task=record.task,
        round=record.round,
        tests=list(tests),
        outcome=record.outcome,
        commit=record.commit,
        cost_usd=record.cost_usd,
        seconds=record.seconds,
    )


def is_better(before: Verified, after: Verified) -> bool:
    """Whether a round helped or did no harm: a heal that makes more tests fail is dropped."""
    return after.verdict.passed or 0 < len(after.verdict.new_failures) <= len(before.verdict.new_failures)
