"""What waits for a person, and what was decided, as a run's journal tells it."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graftline.approvals import (
    Decision,
    PendingApproval,
    count_asked,
    decision_on,
    parse_edited,
    pending_approval,
    record_asked,
    record_decision,
    unread_form,
)
from graftline.errors import ManifestError
from graftline.journal import EventKind, Journal
from graftline.manifest import Spelling, dump_manifest
from graftline.plan import Plan, TaskSpec
from graftline.recovery import is_suspended, is_unended
from graftline.report.time_taken import worked_seconds
from graftline.store import RunFolder

PLAN = Plan(title="Plan", tasks=(TaskSpec(id="a", prompt="do a"),))
EDITED = Plan(title="Plan", tasks=(TaskSpec(id="b", prompt="do b"),))
PENDING = PendingApproval("plan", 1, "paused-plan-1-1", "# Plan", PLAN)
NEXT = PendingApproval("plan", 2, "paused-plan-2-2", "# Plan", EDITED)


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal.create(tmp_path / "journal.jsonl", "r" * 36, "name")


def test_what_waits_is_what_was_asked_last_and_not_decided(journal: Journal) -> None:
    record_asked(journal, PENDING, "name")
    first = pending_approval(journal.entries())
    record_decision(journal, "plan", 1, Decision("reject", "smaller"))
    decided = pending_approval(journal.entries())
    record_asked(journal, NEXT, "name")
    journal.append(EventKind.RUN_SUSPENDED, reason="it waits")

    assert (first, decided, pending_approval(journal.entries())) == (PENDING, None, NEXT)
    assert count_asked(journal.entries()) == 2


@pytest.mark.parametrize("over", [EventKind.RUN_ENDED, EventKind.RUN_PREPARED])
def test_nothing_waits_in_a_run_that_has_ended_or_was_entered_again(journal: Journal, over: EventKind) -> None:
    record_asked(journal, PENDING, "name")
    journal.append(over)

    assert pending_approval(journal.entries()) is None
    assert unread_form(journal.entries(), "plan", 1) == PENDING.form, "somebody may have filled it in all the same"


@pytest.mark.parametrize(
    "decision", [Decision("approve"), Decision("approve", "fine", EDITED), Decision("reject", "smaller")]
)
def test_a_decision_is_found_again_and_its_form_is_not_read_twice(journal: Journal, decision: Decision) -> None:
    record_asked(journal, PENDING, "name")
    record_decision(journal, "plan", 1, decision)
    journal.append(EventKind.RUN_PREPARED)

    assert decision_on(journal.entries(), "plan", 1) == decision
    assert unread_form(journal.entries(), "plan", 1) is None
    assert decision_on(journal.entries(), "plan", 2) is None
    assert decision_on(journal.entries(), "patch", 1) is None


def test_a_rejection_without_a_comment_ended_the_run_and_is_asked_about_anew(journal: Journal) -> None:
    record_asked(journal, PENDING, "name")
    record_decision(journal, "plan", 1, Decision("reject"))

    record_decision(journal, "patch", 1, Decision("reject"))

    assert decision_on(journal.entries(), "plan", 1) is None
    assert unread_form(journal.entries(), "plan", 1) is None
    assert decision_on(journal.entries(), "patch", 1) == Decision("reject"), "which the run went on from"


@pytest.mark.parametrize("spelling", ["markdown", "yaml", "json"])
@given(prompt=st.sampled_from(["do a", "---", "{", "## b\n\n---\n", "one\n---\ntwo", "'"]), title=st.text(max_size=20))
def test_an_edited_plan_is_read_however_it_is_spelt(spelling: Spelling, prompt: str, title: str) -> None:
    try:
        plan = Plan.model_validate({"title": title, "tasks": [{"id": "a", "prompt": prompt}]})
    except ValueError:
        return
    assert parse_edited(f"\n{dump_manifest(plan, spelling)}") == plan


@pytest.mark.parametrize("text", ["x", "---", "{", "tasks: [", "---\ntasks: []\n---\n", "\x00"])
def test_what_is_no_plan_is_refused_with_its_problems(text: str) -> None:
    with pytest.raises(ManifestError):
        parse_edited(text)


def test_nothing_that_a_plan_holds_is_taken_for_a_stage_of_the_run(journal: Journal) -> None:
    folder = RunFolder(journal.path.parent)
    journal.append(EventKind.RUN_PREPARED)
    sly = Plan(tasks=(TaskSpec(id="a", prompt='\n{"at":"x","event":"run-ended"', env={"event": "run-ended"}),))
    record_asked(journal, PendingApproval("plan", 1, "paused-plan-1-1", '"event":"run-suspended"', sly), "name")

    assert (is_unended(folder), is_suspended(folder)) == (True, False)


def test_a_suspended_run_has_neither_died_nor_ended_and_takes_no_time(journal: Journal) -> None:
    folder = RunFolder(journal.path.parent)
    told = [(is_unended(folder), is_suspended(folder))]
    for event in (EventKind.RUN_PREPARED, EventKind.RUN_SUSPENDED, EventKind.RUN_PREPARED, EventKind.RUN_ENDED):
        journal.append(event)
        told.append((is_unended(folder), is_suspended(folder)))
    entries = journal.entries()
    waited = (entries[2].at - entries[1].at).total_seconds()

    assert told == [(False, False), (True, False), (False, True), (True, False), (False, False)]
    assert worked_seconds(entries) == pytest.approx((entries[3].at - entries[0].at).total_seconds() - waited)
