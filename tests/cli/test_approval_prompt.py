"""The prompt at the terminal is one of several ways to answer: it goes away when there is nothing left to answer."""

import asyncio
import io
import os
import pty
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from contextvars import copy_context
from dataclasses import dataclass

import pytest

from graftline.approvals import Decision, PendingApproval, record_asked, record_decision
from graftline.cli.approval_prompt import CHOICES, ApprovalPrompt
from graftline.cli.board import Lines
from graftline.cli.console import PatientConsole
from graftline.journal import EventKind, listening
from graftline.plan import Plan
from graftline.run import Run, close_run
from tests.pipeline import Project, task

SECONDS = 30


@dataclass
class Asked:
    """A run that waits, and what a person at the terminal sees and does."""

    run: Run
    keyboard: int
    shown: io.StringIO

    async def sees(self, text: str) -> None:
        """Wait until it is shown."""
        async with asyncio.timeout(SECONDS):
            while text not in self.shown.getvalue():  # noqa: ASYNC110  nothing tells that a text grew
                await asyncio.sleep(0.01)

    async def is_left_alone(self) -> None:
        """Wait until nobody asks any more: no task but the test's own is left."""
        async with asyncio.timeout(SECONDS):
            while len(asyncio.all_tasks()) > 1:  # noqa: ASYNC110  it is not the test's to wait for
                await asyncio.sleep(0.01)


@asynccontextmanager
async def asking(project: Project, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Asked]:
    """A person at a terminal who is asked about a plan of one task."""
    keyboard, terminal = pty.openpty()
    shown = io.StringIO()
    with os.fdopen(terminal) as stdin:
        monkeypatch.setattr(sys, "stdin", stdin)
        monkeypatch.setattr(sys, "stderr", shown)
        prompt = ApprovalPrompt(Lines(PatientConsole(file=shown)), copy_context())
        with listening(prompt.show):
            run = await project.open([task("a")], {}, approve=True)
            plan = Plan(title="Test plan", tasks=(task("a"),))
            record_asked(run.journal, PendingApproval("plan", 1, "paused-plan-1-1", "# A plan", plan), "name")
            asked = Asked(run, keyboard, shown)
            await asked.sees(CHOICES)
            yield asked
        await prompt.close()
        close_run(run)
    os.close(keyboard)


async def test_it_goes_away_when_somebody_decides_elsewhere(
    offline_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with asking(offline_project, monkeypatch) as asked:
        record_decision(asked.run.journal, "plan", 1, Decision("approve"))
        await asked.sees("Decided elsewhere: approve")
        await asked.is_left_alone()

    assert asked.shown.getvalue().count(CHOICES) == 1


async def test_it_goes_away_when_the_run_ends(offline_project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    async with asking(offline_project, monkeypatch) as asked:
        asked.run.journal.append(EventKind.RUN_ENDED, state="cancelled", reason="cancelled by request")
        await asked.sees("The run waits no more")
        await asked.is_left_alone()

    assert asked.shown.getvalue().count(CHOICES) == 1


async def test_it_goes_away_when_nothing_more_is_typed(
    offline_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with asking(offline_project, monkeypatch) as asked:
        os.write(asked.keyboard, b"\x04")
        await asked.sees("Nobody is asked here any more: graftline approve decides")
        await asked.is_left_alone()

    assert asked.shown.getvalue().count(CHOICES) == 1


async def test_an_editor_that_is_not_there_or_fails_takes_nothing_over(
    offline_project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("VISUAL", "no-such-editor --wait")
    async with asking(offline_project, monkeypatch) as asked:
        os.write(asked.keyboard, b"e\n")
        await asked.sees("no-such-editor --wait: no such editor; set VISUAL or EDITOR")
        monkeypatch.setenv("VISUAL", "false")
        os.write(asked.keyboard, b"e\n")
        await asked.sees("false ended with 1: nothing was taken over")
