"""Asking a model that plans: every call is paid for, every answer kept, and no answer is paid for twice."""

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from graftline.agents.outcome import POLICIES, AgentOutcome, OutcomeKind, Policy
from graftline.caps import Shortage
from graftline.errors import PlannerError, PlannerUnavailableError
from graftline.gate import Gate, close_gate
from graftline.journal import EventKind
from graftline.ledger import NextCall, Role
from graftline.payment import Payer, complete, paid
from graftline.planning.provider import Answer, Provider, Question, Refusal
from graftline.private_files import write_file
from graftline.process import ProcessIdentity
from graftline.report.wording import describe_shortage
from graftline.text import plain_line, whole_characters

Ask = Callable[[Question], Awaitable[Answer]]
"""Gives the answer to a question.

Raises:
    PlannerError: no money is left under a cap; or, as PlannerUnavailableError, nobody answers.
"""
REASON_CHARS = 200
LEAST_WAIT_SECONDS = 1.0
"""What a provider is left alone for that says it takes requests again at once, and then does not."""
UNAVAILABLE = frozenset({OutcomeKind.AUTH, OutcomeKind.BILLING, OutcomeKind.CONFIG})
"""Refusals that are about the account or the set-up, and the same for every question."""
_REMEDIES = {
    OutcomeKind.AUTH: "Look at its key or login, or have another planner: [planner] provider",
    OutcomeKind.BILLING: "Look at the account there, or have another planner: [planner] provider",
    OutcomeKind.CONFIG: "Look at `model`, `base_url` and `agent` of [planner]",
    OutcomeKind.CONTEXT_EXHAUSTED: "Lower [planner] context_tokens, or name a model that reads more",
    OutcomeKind.BUDGET: "Raise [cost] max_usd",
    OutcomeKind.TIMED_OUT: "Raise [timeouts] task_seconds, or ask for less",
    OutcomeKind.STALLED: "Raise [timeouts] output_stall_seconds, or try again",
}


class Answered(BaseModel):
    """A call that was answered: what was asked of whom, what it answered, and the row in the ledger that it is."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: Literal[1] = 1
    call: int
    seconds: float = Field(ge=0)
    question: Question
    answer: Answer


@dataclass
class Asking:
    """A way to ask a provider at a payer's cost; `folder` keeps the answers, of whichever payer's.

    A question that the same model was asked before, also by a process that was killed right after, gets that answer
    again, unpaid. A provider that takes no requests for now is waited for, as `[provider]` says.
    """

    payer: Payer
    provider: Provider
    folder: Path
    _given: dict[Path, Answered] = field(default_factory=dict)

    async def __call__(self, question: Question) -> Answer:
        """The answer to a question; raises as `Ask` says."""
        question = _writable(question)
        place = self.folder / f"{_digest(self.provider, question)}.json"
        answered = _read(place) or await _ask(self.payer, self.provider, place, question)
        self._given[place] = answered
        return answered.answer

    def set_aside(self) -> None:
        """Give none of these answers another time, since nothing came of them; they are kept to be looked at."""
        for place, answered in self._given.items():
            with suppress(FileNotFoundError):
                place.rename(place.with_stem(f"{place.stem}-{answered.call}"))


def settle_answered(payer: Payer, folder: Path) -> None:
    """Complete in the ledger what a process that was killed had the answer to, and had not entered yet."""
    calls = [call for call in payer.ledger.account(payer.id).calls if call.is_open and call.role is Role.PLANNER]
    if not calls:
        return
    kept = {each.call: each for place in folder.glob("*.json") if (each := _read(place)) is not None}
    for call in calls:
        if call.id in kept:
            complete(payer, call.id, call, _outcome_of(kept[call.id].answer), kept[call.id].seconds)


async def _ask(payer: Payer, provider: Provider, place: Path, question: Question) -> Answered:
    """An answer that was paid for, once the provider takes requests."""
    settings = payer.settings.provider
    gate: Gate | None = None
    waited = 0.0
    while True:
        answer = await _call(payer, provider, place, question)
        if isinstance(answer, Answered):
            return answer
        if POLICIES[answer.kind] is not Policy.WAIT:
            raise _error(provider, answer)
        now = datetime.now(UTC)
        reason = plain_line(f"{answer.kind}: {answer.detail}", REASON_CHARS)
        gate = close_gate(gate, now=now, retry_at=answer.retry_at, reason=reason, settings=settings)
        seconds = max((gate.until - now).total_seconds(), min(LEAST_WAIT_SECONDS, settings.first_wait_seconds))
        if waited + seconds > settings.give_up_seconds:
            raise _error(provider, answer)
        payer.journal.append(
            EventKind.PROVIDER_WAITED_FOR,
            provider=provider.host,
            until=(now + timedelta(seconds=seconds)).isoformat(timespec="seconds"),
            reason=reason,
        )
        with payer.clock.stopped():
            await asyncio.sleep(seconds)
        waited += seconds


async def _call(payer: Payer, provider: Provider, place: Path, question: Question) -> Answered | Refusal:
    """Pay for one call: reserve, ask, keep the answer, settle; in this order, so that no end of ours loses it."""
    call = NextCall(
        run_id=payer.id,
        role=Role.PLANNER,
        backend=provider.backend,
        profile=provider.profile,
        deployment=payer.deployment,
    )

    def on_start(process: ProcessIdentity) -> None:
        payer.journal.append(EventKind.PROCESS_STARTED, what="planner", pid=process.pid, started=process.started)

    async with paid(payer, call, provider) as payment:
        if isinstance(payment, Shortage):
            raise PlannerError(f"the planner is not asked: {describe_shortage(payment)}")
        payment.outcome = replace(payment.outcome, model=provider.model)
        begun = monotonic()
        folder = place.with_suffix("") / str(payment.call)
        answer = await provider.ask(question, budget_usd=payment.limit_usd, folder=folder, on_start=on_start)
        if isinstance(answer, Refusal):
            payment.outcome = replace(payment.outcome, kind=answer.kind, detail=answer.detail, usage=answer.usage)
            return answer
        answered = Answered(call=payment.call, seconds=monotonic() - begun, question=question, answer=answer)
        write_file(place, answered.model_dump_json(indent=1).encode())
        payment.outcome = _outcome_of(answer)
        return answered


def _outcome_of(answer: Answer) -> AgentOutcome:
    """What the ledger enters of a call; that the answer may be of no use changes nothing of what it cost."""
    return AgentOutcome(kind=OutcomeKind.OK, usage=answer.usage, model=answer.model, version=answer.version)


def _error(provider: Provider, refusal: Refusal) -> PlannerError:
    """What a person is told of a refusal that nothing is to be waited for any more."""
    whom = f"{provider.backend} at {provider.host}" if provider.host else provider.backend
    remedy = _REMEDIES.get(refusal.kind, "")
    message = f"the planner ({whom}) gave no answer, {refusal.kind}: {refusal.detail}"
    is_unavailable = refusal.kind in UNAVAILABLE or POLICIES[refusal.kind] is Policy.WAIT
    return (PlannerUnavailableError if is_unavailable else PlannerError)(f"{message}. {remedy}" if remedy else message)


def _writable(question: Question) -> Question:
    """The question without half characters, which a command line and file names can bring in, and no server takes."""
    messages = (replace(message, text=whole_characters(message.text)) for message in question.messages)
    return replace(question, system=whole_characters(question.system), messages=tuple(messages))


def _digest(provider: Provider, question: Question) -> str:
    """What makes two questions the same: all that is asked, and of whom."""
    whom = [provider.type, provider.backend, provider.profile, provider.host, provider.model]
    asked = TypeAdapter(Question).dump_python(question, mode="json")
    return hashlib.sha256(json.dumps([whom, asked], sort_keys=True).encode()).hexdigest()[:32]


def _read(place: Path) -> Answered | None:
    """The answer that is kept there; one that an older or newer graftline wrote in another form is none."""
    try:
        return Answered.model_validate_json(place.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
