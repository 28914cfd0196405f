"""The agent CLIs that the end-to-end tests drive: one row each, with all that they differ in for the tests.

A test says what the agents of a plan do; which CLI does it is a value of this table.
"""

import json
import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import JsonValue

from graftline.agents.outcome import Usage

Event = Mapping[str, JsonValue]

FOLDER = Path(__file__).parent
INSTALLED = FOLDER / "node_modules"


class CliMissingError(Exception):
    """A CLI that the tests drive is not there, or not in the version that they are for."""


@dataclass(frozen=True)
class Cli:
    """One agent CLI.

    `program` is its file within the installed package or, when there is a `native` pattern, within this platform's own
    package: what npm links into `.bin` refuses to work where it was told to run no install scripts. `path` follows the
    server's address in the base URL. `api_key` goes into `key_variable`, or into its profile when there is none.
    `account` is the CLI's own account of a call, read from the events it printed without graftline's help. `settings`
    are further keys of its profile.
    """

    type: str
    package: str
    program: str
    model: str
    api_key: str
    account: Callable[[Sequence[Event]], Usage] = field(repr=False)
    key_variable: str = ""
    native: str = ""
    path: str = ""
    settings: Mapping[str, JsonValue] = field(default_factory=dict, hash=False)

    @property
    def profile(self) -> str:
        """What the settings of the test repositories call it."""
        return f"pinned-{self.type}"

    @property
    def override(self) -> str:
        """The variable that names another program to drive in its place."""
        return f"E2E_{self.type.upper().replace('-', '_')}_BINARY"

    def find(self) -> Path:
        """The program in the version that package.json pins, or the one `override` names; raises `CliMissingError`."""
        if named := os.environ.get(self.override):
            if not os.access(named, os.X_OK):
                raise CliMissingError(f"{self.override}={named} is not an executable file")
            return Path(named).absolute()
        pinned = at(_package(FOLDER), "dependencies", self.package)
        folder = INSTALLED / self.package
        installed = at(_package(folder), "version") if folder.exists() else "none"
        if installed != pinned:
            raise CliMissingError(f"the tests are for {self.package} {pinned}, installed is {installed}")
        # npm may install a build for musl beside the one that this machine can run.
        is_foreign = "-musl" if platform.libc_ver()[0] == "glibc" else "\0"
        folders = sorted(INSTALLED.glob(self.native)) if self.native else [folder]
        found = [file for folder in folders if is_foreign not in folder.name for file in folder.glob(self.program)]
        if not found:
            raise CliMissingError(f"{self.package} {installed} is installed without a program for this machine")
        return found[0]


def _claude_account(events: Sequence[Event]) -> Usage:
    """The last event's, of all models; what it calls input was neither read from a cache nor written to one."""
    models = at(events[-1], "modelUsage")
    assert isinstance(models, dict)
    return Usage(
        cost_usd=amount(events[-1], "total_cost_usd"),
        input_tokens=sum(
            count(used, "inputTokens") + count(used, "cacheCreationInputTokens") for used in models.values()
        ),
        output_tokens=sum(count(used, "outputTokens") for used in models.values()),
        cached_tokens=sum(count(used, "cacheReadInputTokens") for used in models.values()),
    )


def _codex_account(events: Sequence[Event]) -> Usage:
    """The last event's; it knows no prices, and its input includes what was cached."""
    used = at(events[-1], "usage")
    cached = count(used, "cached_input_tokens")
    return Usage(None, count(used, "input_tokens") - cached, count(used, "output_tokens"), cached)


def _gemini_account(events: Sequence[Event]) -> Usage:
    """The last event's; it knows no prices, and its input includes what was cached."""
    used = at(events[-1], "stats")
    cached = count(used, "cached")
    return Usage(None, count(used, "input_tokens") - cached, count(used, "output_tokens"), cached)


def _opencode_account(events: Sequence[Event]) -> Usage:
    """The sum over its steps; their prices are those of models that it knows, and this one is none of them."""
    steps = [at(event, "part") for event in events if event["type"] == "step_finish"]
    return Usage(
        input_tokens=sum(count(step, "tokens", "input") + count(step, "tokens", "cache", "write") for step in steps),
        output_tokens=sum(count(step, "tokens", "output") for step in steps),
        cached_tokens=sum(count(step, "tokens", "cache", "read") for step in steps),
    )


def at(value: JsonValue | Event, *keys: str) -> JsonValue:
    """What lies that deep in an event."""
    for key in keys:
        assert isinstance(value, Mapping), f"no {key!r} in {value!r}"
        value = value[key]
    return value if not isinstance(value, Mapping) else dict(value)


def amount(value: JsonValue | Event, *keys: str) -> float:
    """The number that lies there."""
    found = at(value, *keys)
    assert isinstance(found, int | float)
    return found


def count(value: JsonValue | Event, *keys: str) -> int:
    """The whole number that lies there."""
    found = at(value, *keys)
    assert isinstance(found, int)
    return found


def _package(folder: Path) -> dict[str, JsonValue]:
    parsed: dict[str, JsonValue] = json.loads((folder / "package.json").read_text())
    return parsed


CLAUDE = Cli(
    type="claude-code",
    package="@anthropic-ai/claude-code",
    native="@anthropic-ai/claude-code-*",
    program="claude",
    model="claude-sonnet-4-5",
    key_variable="ANTHROPIC_API_KEY",
    api_key="sk-ant-e2e-0c93f1d7a85b4e62b1f04d7786c2a9e5",
    account=_claude_account,
    # It tries a refused key again, too, for ten seconds by default.
    settings={"env.CLAUDE_CODE_MAX_RETRIES": "2"},
)
CODEX = Cli(
    type="codex",
    package="@openai/codex",
    native="@openai/codex-*",
    program="vendor/*/bin/codex",
    # One that gets its patch tool; the newer ones write programs that use it.
    model="gpt-5.5",
    key_variable="OPENAI_API_KEY",
    api_key="sk-proj-e2e-5b1d2c6e8f904a37a1c0e4d29b7f6a83",
    path="/v1",
    account=_codex_account,
)
GEMINI = Cli(
    type="gemini",
    package="@google/gemini-cli",
    program="bundle/gemini.js",
    model="gemini-2.5-pro",
    key_variable="GEMINI_API_KEY",
    api_key="AIzaE2e-7f3a9c15d8b24e60932bd1f4c5a6e780",
    account=_gemini_account,
)
OPENCODE = Cli(
    type="opencode",
    package="opencode-ai",
    native="opencode-*",
    program="bin/opencode",
    model="scripted",
    api_key="sk-e2e-open-93d7c0a1f6e24b58b0c2d9e1a4f57368",
    path="/v1",
    account=_opencode_account,
)
CLIS = (CLAUDE, CODEX, GEMINI, OPENCODE)
