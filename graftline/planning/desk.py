"""The planner's desk: where a request, what is known of the repository and a model come together into a proposal."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import anyio.to_thread

from graftline.errors import GraftlineError, UselessAnswersError
from graftline.git.repository import list_files
from graftline.journal import EventKind
from graftline.patch import PlanPatch
from graftline.plan import Plan
from graftline.planning.asking import Asking, settle_answered
from graftline.planning.choice import choose_provider
from graftline.planning.conflicts import order_conflicts
from graftline.planning.context import build_context
from graftline.planning.estimate import estimate
from graftline.planning.interval import Interval
from graftline.planning.past import read_past
from graftline.planning.patches import MadePatch, RecordedPatch, read_patch, write_patch
from graftline.planning.patching import make_patch
from graftline.planning.planner import Feedback, Job, make_plan
from graftline.planning.preview import preview_of
from graftline.planning.prompts import load_templates
from graftline.planning.proposals import Proposed, read_proposal, write_proposal
from graftline.planning.prospects import find_conflicts, prospects_in
from graftline.planning.scaffold import Bench, CheckScaffold
from graftline.planning.survey import survey_of
from graftline.planning.validation import Ground
from graftline.preflight import check_plan
from graftline.private_files import make_folder
from graftline.run import Run


@dataclass(frozen=True)
class Desk:
    """What a planner works with: what it is asked about, how it is asked, and how its acceptance tests are tried."""

    job: Job
    ask: Asking
    check_scaffold: CheckScaffold

    @contextmanager
    def in_earnest(self) -> Iterator[None]:
        """Have answers that nothing comes of set aside: who asks the same another time is given others."""
        try:
            yield
        except UselessAnswersError:
            self.ask.set_aside()
            raise


async def propose_plan(run: Run, number: int) -> Proposed:
    """The run's proposal of that number: the recorded one, else the plan its request gave, else one made now.

    Raises:
        PlannerError: nobody can be asked, or no valid plan came of it.
        SettingsError: a template of the repository's own does not work.
        CannotRunError: an agent, or what the tests run on, is missing.
    """
    known = read_proposal(run.folder, number)
    if known is not None:
        return known
    proposed = await _make_proposal(run, number)
    write_proposal(run.folder, proposed)
    prospects = await prospects_in(run, proposed.plan)
    preview = preview_of(proposed.plan, by=proposed.by, prospects=prospects, notes=proposed.notes)
    run.journal.append(
        EventKind.PLAN_PROPOSED,
        number=number,
        by=proposed.by,
        title=proposed.plan.title,
        tasks=list(preview.order),
        preview=preview.model_dump(mode="json"),
    )
    return proposed


async def _make_proposal(run: Run, number: int) -> Proposed:
    if run.pinned.given is not None:
        return Proposed(number=number, by="request", plan=run.pinned.given)
    desk = await _open_desk(run, _feedback(run, number))
    with desk.in_earnest():
        made = await make_plan(desk.job, desk.ask, desk.check_scaffold)
    plan = order_conflicts(made.plan, await find_conflicts(made.plan, partial(survey_of, run)))
    await check_plan(plan, run.settings, run.environ)
    return Proposed(number=number, by="planner", plan=plan, notes=made.notes, templates=made.templates)


async def patch_plan(run: Run, number: int) -> RecordedPatch:
    """The run's patch of that number, which a failed task asked for: made now unless it was made before.

    Raises:
        PlannerError: nobody can be asked, or no valid patch came of it.
    """
    recorded = read_patch(run.folder, number)
    if recorded is None:
        raise GraftlineError(f"nobody asked for patch {number} of run {run.pinned.name}")
    if recorded.made is not None:
        return recorded
    desk = await _open_desk(run)
    taken = [task.id for task in run.pinned.tasks]
    with desk.in_earnest():
        proposed = await make_patch(
            desk.job, recorded.before, recorded.setback, desk.ask, desk.check_scaffold, taken=taken
        )
    made = MadePatch(
        patch=proposed.patch,
        after=proposed.patched.plan,
        removed=dict(proposed.patched.removed),
        expected_usd=_expected_usd(run, proposed.patch),
        notes=proposed.notes,
    )
    recorded = recorded.model_copy(update={"made": made})
    write_patch(run.folder, recorded)
    return recorded


async def _open_desk(run: Run, feedback: tuple[Feedback, ...] = ()) -> Desk:
    """The desk at which an open run's request is planned."""
    seen = await survey_of(run)
    request, settings = run.pinned.request.prompt, run.settings
    describe = partial(
        build_context, index=seen.index, history=seen.history, max_tokens=settings.planner.context_tokens
    )
    context = await anyio.to_thread.run_sync(describe, run.repository, run.base, request)
    tracked, _ = await anyio.to_thread.run_sync(list_files, run.repository, run.base)
    answers = make_folder(run.folder.store.answers)
    settle_answered(run, answers)
    chosen = await choose_provider(settings, run.environ)
    for note in (f"planner: {chosen}", *context.notes):
        run.journal.append(EventKind.PLAN_NOTED, text=note)
    job = Job(
        request=request,
        context=context.text,
        settings=settings,
        templates=load_templates(run.repository.path),
        ground=Ground(frozenset(tracked), partial(run.hub.ignored_paths, work_tree=run.repository.path)),
        test_command=run.test_command,
        feedback=feedback,
    )
    return Desk(job, Asking(run, chosen.provider, answers), _bench(run).check)


def _bench(run: Run) -> Bench:
    """Where the acceptance tests of plans are tried."""
    return Bench(
        run=run,
        base=run.base,
        command=run.test_command,
        tools=run.test_tools,
        folder=run.folder.verify("scaffold"),
        worktree=run.folder.verify_worktree("scaffold"),
        ref=run.ref("scaffold"),
    )


def _feedback(run: Run, number: int) -> tuple[Feedback, ...]:
    """The proposals before this one, and why a person did not want them."""
    comments = {
        entry.data["number"]: str(entry.data["comment"])
        for entry in run.journal.entries()
        if entry.event is EventKind.APPROVAL_GIVEN and entry.data["what"] == "plan"
    }
    earlier = (read_proposal(run.folder, before) for before in range(1, number))
    return tuple(Feedback(one.plan, comments.get(one.number, "")) for one in earlier if one is not None)


def _expected_usd(run: Run, patch: PlanPatch) -> float:
    """What the new tasks of a patch are expected to cost; one whose cost nobody tells counts as under the caps."""
    if not patch.new_tasks:
        return 0.0
    alone = {"depends_on": (), "after": ()}
    plan = Plan(tasks=tuple(task.model_copy(update=alone) for task in patch.new_tasks))
    past = read_past(run.folder.store, run.ledger)
    costs = [each.cost_usd for each in estimate(plan, run.settings, past).tasks]
    return sum(run.settings.cost.unknown_call_usd if cost is None else _middle(cost) for cost in costs)


def _middle(cost: Interval) -> float:
    """What half of the costs stay below that an interval is for, as far as they are spread like factors."""
    return math.sqrt(cost.low * cost.high) or cost.high
