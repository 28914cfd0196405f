"""Asks the person at the terminal about a plan that waits. Others may answer elsewhere: the first one decides."""

import asyncio
import contextlib
import os
from contextvars import Context
from typing import Literal

from graftline.approvals import Kind, PendingApproval, What, pending_approval
from graftline.cli.board import Board
from graftline.cli.prefect_client import prefect_client
from graftline.cli.terminal import ask_line, edit_text
from graftline.errors import ManifestError, ServerUnavailableError, UserError
from graftline.journal import Entry, EventKind
from graftline.manifest import dump_manifest, parse_manifest
from graftline.plan import Plan
from graftline.planning.preview import preview_of
from graftline.planning.prospects import prospects_in
from graftline.report.preview_text import preview_lines
from graftline.run import live_run
from graftline.text import plain_text

CHOICES = "[a]pprove, [e]dit, [r]eject? "
OTHERWISE: dict[What, str] = {
    "plan": "What is to be planned otherwise (nothing: the run ends)? ",
    "patch": "Why (the run goes on without it)? ",
}
AGAIN = "Enter edits it again, d discards what was changed: "


class ApprovalPrompt:
    """One more sender of the answer. When somebody else is faster, the prompt goes away and says so.

    It asks in a `context` of its own, which is not the flow run's that waits.
    """

    def __init__(self, board: Board, context: Context) -> None:
        self._board = board
        self._context = context
        self._run_id = ""
        self._seen = 0
        self._asking: asyncio.Task[None] | None = None

    def show(self, entry: Entry) -> None:
        """Follow what happens in the run; called on the event loop."""
        match entry.event:
            case EventKind.RUN_PREPARED:
                self._run_id = str(entry.data["run"])
            case EventKind.PLAN_PROPOSED:  # which is shown as it happens, or was before the run began
                self._seen = int(str(entry.data["number"]))
            case EventKind.APPROVAL_ASKED:
                pending = pending_approval([entry])
                if pending is not None:
                    asking = self._ask(pending)
                    self._asking = asyncio.get_running_loop().create_task(asking, context=self._context)
            case EventKind.APPROVAL_GIVEN:
                self._go_away(f"Decided elsewhere: {entry.data['decision']}")
            case EventKind.RUN_ENDED:
                self._go_away("The run waits no more")
            case _:
                pass

    async def close(self) -> None:
        """Ask nobody any more."""
        if self._asking is not None:
            self._asking.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._asking

    def _go_away(self, why: str) -> None:
        if self._asking is not None and not self._asking.done():
            self._asking.cancel()
            self._board.say(f"\n{why}")

    async def _ask(self, pending: PendingApproval) -> None:
        plan = pending.plan
        with self._board.held():
            if pending.what == "patch" or pending.number != self._seen:
                await self._show(pending, plan)
            while True:
                try:
                    match (await ask_line(CHOICES)).lower():
                        case "a" | "approve":
                            edited = "" if plan == pending.plan else dump_manifest(plan, "yaml")
                            return await self._send(pending, "approve", plan=edited)
                        case "e" | "edit":
                            plan = await self._edit(plan)
                            await self._show(pending, plan)
                        case "r" | "reject":
                            return await self._send(pending, "reject", comment=await ask_line(OTHERWISE[pending.what]))
                        case _:
                            pass
                except EOFError:
                    return self._board.say("\nNobody is asked here any more: graftline approve decides")
                except (UserError, ServerUnavailableError) as error:
                    self._board.say(str(error))

    async def _show(self, pending: PendingApproval, plan: Plan) -> None:
        if pending.what == "patch" and plan == pending.plan:
            return self._board.say(plain_text(pending.text))  # what changes is more to the point than the whole
        run = live_run(self._run_id)
        by: Literal["planner", "request"] = "planner" if run.pinned.given is None else "request"
        preview = preview_of(plan, by=by, prospects=await prospects_in(run, plan))
        return self._board.say("\n".join(preview_lines(preview)))

    async def _edit(self, plan: Plan) -> Plan:
        """The plan as the person leaves it in an editor; the same one when they discard what they changed."""
        text = dump_manifest(plan, "markdown")
        while True:
            text = await edit_text(text, suffix=".md", environ=os.environ)
            try:
                return parse_manifest(text, file="plan", spelling="markdown").plan
            except ManifestError as error:
                self._board.say(str(error))
            if (await ask_line(AGAIN)).lower().startswith("d"):
                return plan

    async def _send(self, pending: PendingApproval, kind: Kind, *, comment: str = "", plan: str = "") -> None:
        from graftline.tasks.approval import send_decision  # noqa: PLC0415  imports Prefect

        async with prefect_client() as client:
            problem = await send_decision(client, self._run_id, pending, kind, comment=comment, plan=plan)
        if problem:
            self._board.say(f"{pending} was not decided here: {problem}")
