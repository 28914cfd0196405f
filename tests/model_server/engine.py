"""Decides what the model does next: finds the scenario and its turn for a request, and counts faults.

The conversation is in the request itself: the turn is the number of answers given since the matched prompt. So any
number of agents can run at once, a resumed session goes on where it was, and the same prompt sent anew starts anew.
Only "fail the first n times" needs memory, and it is the only state here.
"""

import json
import re
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from tests.model_server.conversation import Item, ModelRequest, Role, smallest_instance
from tests.model_server.reply import Reply, ToolCall
from tests.model_server.scenario import PromptPattern, Scenario, Script, TokenUsage, Turn, fill_placeholders
from tests.model_server.tools import tool_calls

# The tool through which Claude Code asks for `--json-schema` output.
_STRUCTURED_OUTPUT_TOOL = "StructuredOutput"
_SIDE_REQUEST_USAGE = TokenUsage(input_tokens=50, output_tokens=5)


@dataclass(frozen=True)
class Match:
    """A scenario, the position of the prompt it matched and what the pattern found there."""

    scenario: Scenario
    prompt_at: int
    text: str
    groups: Mapping[str, str]


@dataclass(frozen=True)
class Decision:
    """The turn to play. `faulty` says that its fault strikes this time; `scenario` is empty for no scenario."""

    turn: Turn
    reply: Reply
    scenario: str = ""
    turn_number: int = 0
    faulty: bool = False


def find_match(script: Script, request: ModelRequest) -> Match | None:
    """The scenario of the latest prompt that one matches; a later prompt of a session starts its own scenario."""
    for position in range(len(request.items) - 1, -1, -1):
        item = request.items[position]
        if item.role is not Role.USER:
            continue
        for scenario in script.scenarios:
            if scenario.model in request.model and (match := _match_prompt(scenario, item.text, position)):
                return match
    return None


def _match_prompt(scenario: Scenario, prompt: str, position: int) -> Match | None:
    if isinstance(scenario.match, PromptPattern):
        found = re.search(scenario.match.regex, prompt, re.DOTALL)
        if found is None:
            return None
        numbered = {str(number): group or "" for number, group in enumerate(found.groups(), 1)}
        named = {name: group or "" for name, group in found.groupdict().items()}
        return Match(scenario, position, found[0], numbered | named)
    return Match(scenario, position, scenario.match, {}) if scenario.match in prompt else None


def answers_given(items: Sequence[Item]) -> int:
    """How often the model has spoken; one answer may be several assistant items in a row."""
    return sum(1 for role, _ in groupby(items, key=lambda item: item.role) if role is Role.ASSISTANT)


class Engine:
    """Plays one script for any number of agents at once."""

    def __init__(self, script: Script) -> None:
        self._script = script
        self._lock = threading.Lock()
        self._strikes: Counter[tuple[str, int, str, int]] = Counter()

    def decide(self, request: ModelRequest, namespace: str) -> Decision:
        """What to do with a request; raises `NoSuchToolError` when the turn cannot be played with the tools offered.

        CLIs ask for titles, summaries and the like on the side, quoting the prompt but offering no tools. Those are
        answered with something harmless and never play a turn.
        """
        match = find_match(self._script, request)
        if not request.tools and not (match and match.scenario.without_tools):
            return self._side_answer(request)
        if match is None:
            return Decision(self._script.default, self._reply(self._script.default, request))
        number = answers_given(request.items[match.prompt_at + 1 :])
        turns = match.scenario.turns
        turn = turns[number] if number < len(turns) else self._script.default
        turn = fill_placeholders(turn, {**match.groups, "cwd": request.working_directory})
        faulty = turn.has_fault and self._strikes_now(turn, (namespace, self._index(match), match.text, number))
        return Decision(turn, self._reply(turn, request), match.scenario.name, number, faulty)

    def _index(self, match: Match) -> int:
        return self._script.scenarios.index(match.scenario)

    def _strikes_now(self, turn: Turn, key: tuple[str, int, str, int]) -> bool:
        if turn.times is None:
            return True
        with self._lock:
            self._strikes[key] += 1
            return self._strikes[key] <= turn.times

    @staticmethod
    def _side_answer(request: ModelRequest) -> Decision:
        text = "ok" if request.schema is None else json.dumps(smallest_instance(request.schema))
        turn = Turn(text=text, usage=_SIDE_REQUEST_USAGE)
        return Decision(turn, Reply(model=request.model, text=text, calls=(), usage=turn.usage))

    @staticmethod
    def _reply(turn: Turn, request: ModelRequest) -> Reply:
        text, calls = turn.text, tool_calls(turn.tools, request.tools, request.working_directory)
        if turn.structured is not None:
            tool = request.forced_tool or (_STRUCTURED_OUTPUT_TOOL if _STRUCTURED_OUTPUT_TOOL in request.tools else "")
            if tool and isinstance(turn.structured, dict):
                calls = (*calls, ToolCall(name=tool, arguments=turn.structured))
            else:
                text = json.dumps(turn.structured)
        return Reply(model=request.model, text=text, calls=calls, usage=turn.usage, stop=turn.stop)
