"""What payments need of a run, without the rest of one."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import JsonValue

from graftline.clock import Clock
from graftline.journal import EventKind, Journal
from graftline.ledger import Call, Ledger
from graftline.settings import Settings


@dataclass
class Account:
    """Whatever a planner's calls need of whoever pays for them."""

    ledger: Ledger
    journal: Journal
    settings: Settings
    id: str = "plan-1"
    deployment: str = ""
    stop_reason: str = ""
    concurrent_calls: int = 1
    clock: Clock = field(default_factory=Clock)
    call_ended: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def calls(self) -> tuple[Call, ...]:
        """Its rows in the ledger."""
        return self.ledger.account(self.id).calls

    def told(self, event: EventKind) -> list[Mapping[str, JsonValue]]:
        """What its journal says of these events."""
        return [entry.data for entry in self.journal.entries() if entry.event is event]


def open_account(folder: Path, **settings: object) -> Account:
    """An account of its own; it may spend a hundred dollars unless it is told otherwise."""
    journal = Journal.create(folder / "journal.jsonl", "plan-1", "plan-1")
    return Account(Ledger.open(folder), journal, Settings.model_validate({"cost": {"max_usd": 100}, **settings}))
