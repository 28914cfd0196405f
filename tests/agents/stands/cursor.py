"""Cursor, as its documentation has it: there is no recording, since nobody here can run the real CLI."""

from pathlib import Path

from pydantic import SecretStr

from graftline.agents.backend import AgentBackend
from graftline.agents.cursor import CursorBackend
from graftline.agents.profiles import CursorProfile
from tests.agents.stands.cases import CASES
from tests.agents.stands.stand import SECRET, Stand


def make(program: Path) -> AgentBackend:
    return CursorBackend(
        CursorProfile(binary=str(program), model="m", api_key=SecretStr(SECRET), pass_env=["AGENT_KEY"])
    )


STAND = Stand(
    make=make,
    success=[
        '{"type":"system","subtype":"init","apiKeySource":"env","cwd":"/w","session_id":"s","model":"m"}',
        '{"type":"assistant","message":{"role":"assistant","content":[{"type":"text","text":"working"}]}}',
        '{"type":"tool_call","subtype":"started","call_id":"c","tool_call":{"writeToolCall":{"args":{"path":"a.py"}}}}',
        '{"type":"tool_call","subtype":"completed","call_id":"c","tool_call":{"writeToolCall":{"args":{"path":"a.py"}}}}',
        '{"type":"result","subtype":"success","is_error":false,"duration_ms":1,"result":"All done.","session_id":"s"}',
    ],
    last_message="All done.",
    cost_usd=None,
    version_output="2026.01.23-916f423",
    notes=(
        "version 2026.01.23-916f423 is untested, as any: this backend was built from Cursor's documentation and was "
        "never run with the real CLI",
    ),
    lacking=dict.fromkeys(CASES, "the CLI comes from no package registry and talks to Cursor's own API only"),
)
