"""Replanning: a task that failed for good asks the planner, once, for a patch of the plan.

What comes of it is recorded step by step, so that a run that is entered again goes on where it was. A patch that is not
made or not approved changes nothing: the run goes on as without it, and says why.
"""

from graftline.agents.outcome import ANOTHER_ATTEMPT, POLICIES
from graftline.approvals import Decision
from graftline.errors import CannotRunError, ManifestError, PlannerError, Problem, UserError
from graftline.flows.approval import approve
from graftline.integration import finished_work
from graftline.journal import EventKind
from graftline.patch import Patched, apply_edit
from graftline.plan import Plan
from graftline.plan_diff import describe_patch, diff_markdown
from graftline.planning.patches import MadePatch, RecordedPatch, open_patch, read_patches, write_patch
from graftline.planning.setback import failed_before_suspension, setback_of
from graftline.preflight import check_plan
from graftline.records import task_records
from graftline.report.wording import money
from graftline.run import Run
from graftline.tasks.plan import make_patch
from graftline.text import plain_line

NOT_APPROVED = "nobody approved the patch"
WHY_CHARACTERS = 1000


async def replan(run: Run) -> bool:
    """Whether the plan was patched for tasks that failed for good, so that there is more of it to carry out."""
    patched = False
    for task_id in run.graph.order:
        if may_ask(run, task_id):
            patched |= await patch_for(run, await begin_patch(run, task_id))
    return patched


async def go_on_replanning(run: Run) -> None:
    """Bring a patch to its end that a process of this run was at when it ended.

    What had failed by then stays failed when that process was suspended, which is no second chance.
    """
    entries = run.journal.entries()
    for task_id in failed_before_suspension(entries):
        if records := task_records(run.folder, task_id):
            run.given_up[task_id] = records[-1]
    recorded = open_patch(run.folder, entries)
    if recorded is not None:
        await patch_for(run, recorded)


def may_ask(run: Run, task_id: str) -> bool:
    """Whether a task of a planned run failed in a way that another plan may help, and nobody asked for it before.

    A task that came of a patch does not ask for another one, so this comes to an end.
    """
    failed = run.given_up.get(task_id)
    if failed is None or POLICIES[failed.outcome] not in ANOTHER_ATTEMPT or task_id not in run.graph.order:
        return False
    earlier = read_patches(run.folder)
    asked = {one.setback.task for one in earlier}.union(*(one.brought for one in earlier))
    is_planned = bool(run.pinned.request.prompt) and run.settings.planner.patch
    return is_planned and not run.stop_reason and task_id not in asked


async def begin_patch(run: Run, task_id: str) -> RecordedPatch:
    """Pin what a patch is asked for: with it, the task has asked."""
    setback = setback_of(run, task_id, await finished_work(run))
    recorded = RecordedPatch(number=len(read_patches(run.folder)) + 1, setback=setback, before=run.plan)
    write_patch(run.folder, recorded)
    return recorded


async def patch_for(run: Run, recorded: RecordedPatch) -> bool:
    """Whether the run goes by a patched plan from now on, after whatever that takes."""
    try:
        recorded = await make_patch(run.id, recorded.number)
        made = recorded.made
        if made is None or not made.patch.operations:
            return leave(run, recorded, made.patch.reason if made else "")
        if needs_approval(run, made):
            decision = await decide(run, recorded, made)
            if decision.kind == "reject":
                # Who was stopped while a person was asked asks again when the run is entered again.
                return not run.stop_reason and leave(
                    run, recorded, ": ".join(filter(None, [NOT_APPROVED, decision.comment]))
                )
            if decision.plan is not None:
                made = made.leading_to(edited(run, recorded, decision.plan))
                recorded = recorded.model_copy(update={"made": made})
                write_patch(run.folder, recorded)
        await check_plan(made.after, run.settings, run.environ)
    except (PlannerError, UserError, CannotRunError) as error:
        return leave(run, recorded, str(error))
    go_by(run, recorded, made)
    return True


def needs_approval(run: Run, made: MadePatch) -> bool:
    """Whether a person decides about a patch: about every one, or because of what it is expected to cost."""
    planner = run.settings.planner
    return planner.approve or made.expected_usd > planner.patch_usd


async def decide(run: Run, recorded: RecordedPatch, made: MadePatch) -> Decision:
    """What a person decides about a patch."""
    diff = diff_markdown(made.patch.reason, describe_patch(recorded.before, made.after))
    described = (
        f"Task `{recorded.setback.task}` failed for good: {diff}\n"
        f"The new tasks are expected to cost {money(made.expected_usd)}. Without the patch the run goes on as it is."
    )

    def check(plan: Plan) -> tuple[Problem, ...]:
        try:
            edited(run, recorded, plan)
        except ManifestError as error:
            return error.problems
        return ()

    return await approve(run, "patch", recorded.number, described, made.after, check=check)


def edited(run: Run, recorded: RecordedPatch, plan: Plan) -> Patched:
    """A patched plan as a person wants it, where that breaks no promise."""
    taken = [task.id for task in run.pinned.former]
    return apply_edit(recorded.before, plan, recorded.setback.finished, taken=taken)


def go_by(run: Run, recorded: RecordedPatch, made: MadePatch) -> None:
    """Let a run go by a patched plan; when this was cut short, it is done again."""
    run.adopt(made.after)
    for note in made.notes:
        run.journal.append(EventKind.PLAN_NOTED, text=note)
    run.journal.append(
        EventKind.PLAN_PATCHED,
        task=recorded.setback.task,
        number=recorded.number,
        reason=made.patch.reason,
        changes=list(describe_patch(recorded.before, made.after)),
        removed=dict(made.removed),
        waits=run.waits,
    )


def leave(run: Run, recorded: RecordedPatch, why: str) -> bool:
    """Let a run go on as without a patch, and say why; the task that asked does not ask again."""
    why = plain_line(why, WHY_CHARACTERS)
    write_patch(run.folder, recorded.model_copy(update={"why_not": why}))
    run.journal.append(EventKind.WARNING, text=f"the plan was not patched for {recorded.setback.task}: {why}")
    return False
