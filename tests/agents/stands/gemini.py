"""The Gemini CLI."""

from pathlib import Path

from pydantic import SecretStr

from graftline.agents.backend import AgentBackend
from graftline.agents.gemini import GeminiBackend
from graftline.agents.outcome import OutcomeKind as K
from graftline.agents.outcome import Usage
from graftline.agents.profiles import GeminiProfile
from tests.agents.stands.stand import SECRET, Recorded, Stand


def make(program: Path) -> AgentBackend:
    profile = GeminiProfile(
        binary=str(program), model="m", max_turns=80, api_key=SecretStr(SECRET), pass_env=["AGENT_KEY"]
    )
    return GeminiBackend(profile)


STAND = Stand(
    make=make,
    success=[
        '{"type":"init","session_id":"s","model":"m"}',
        '{"type":"message","role":"user","content":"the prompt"}',
        '{"type":"message","role":"assistant","content":"work","delta":true}',
        '{"type":"message","role":"assistant","content":"ing","delta":true}',
        '{"type":"tool_use","tool_name":"write_file","tool_id":"t","parameters":{"file_path":"a.py"}}',
        '{"type":"tool_result","tool_id":"t","status":"success"}',
        '{"type":"message","role":"assistant","content":"All done.","delta":true}',
        '{"type":"result","status":"success","stats":{"total_tokens":12,"input_tokens":10,"output_tokens":2}}',
    ],
    last_message="All done.",
    cost_usd=None,
    version_output="0.61.0",
    recorded={
        "success": Recorded(
            K.OK,
            usage=Usage(input_tokens=1800, output_tokens=200, cached_tokens=3600),
            session="ae60f2cb-f7a1-425a-bbe8-fd48d920563a",
        ),
        # Under the id of the session it went on with, and with what this call used.
        "resume_2": Recorded(
            K.OK,
            usage=Usage(input_tokens=2000, output_tokens=100, cached_tokens=0),
            session="7746c6d6-706c-4e89-82f7-354300229e37",
        ),
        "tool_error": Recorded(K.OK),
        "rate_limit_then_ok": Recorded(K.OK),
        "auth_failure": Recorded(K.AUTH, status=144, detail="API key not valid"),
        "credit": Recorded(K.BILLING, status=144, detail="credit balance is too low"),
        # Billing hides under 429.
        "quota": Recorded(K.BILLING, status=173, detail="exceeded your current quota"),
        "model_not_found": Recorded(K.CONFIG, status=1, detail="no such model"),
        "rate_limit_forever": Recorded(K.RATE_LIMITED, status=173, detail="Resource has been exhausted"),
        "overload_giveup": Recorded(K.OVERLOADED, status=247, detail="The model is overloaded"),
        "server_500": Recorded(K.TRANSIENT, status=244, detail="Internal server error"),
        "context_overflow": Recorded(K.CONTEXT_EXHAUSTED, status=144, detail="exceeds the maximum number of tokens"),
        # The session was full after one turn: no second request, and status 0.
        "context_outgrown": Recorded(K.CONTEXT_EXHAUSTED, detail="it ended without an answer"),
        "max_turns": Recorded(
            K.MAX_TURNS,
            status=53,
            detail="Reached max session turns",
            usage=Usage(input_tokens=200000, output_tokens=20000, cached_tokens=0),
        ),
        # Status 0, and a final event that says error.
        "stream_drop": Recorded(K.TRANSIENT, detail="Model stream ended without a finish reason"),
        "sigterm": Recorded(K.INTERRUPTED, detail="interrupted from outside", usage=Usage()),
    },
    lacking={"max_budget": "the CLI knows no limit in money"},
)
