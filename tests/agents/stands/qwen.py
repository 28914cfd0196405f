"""Qwen Code."""

from pathlib import Path

from pydantic import SecretStr

from graftline.agents.backend import AgentBackend
from graftline.agents.outcome import OutcomeKind as K
from graftline.agents.outcome import Usage
from graftline.agents.profiles import QwenProfile
from graftline.agents.qwen import QwenBackend
from tests.agents.stands.stand import SECRET, Recorded, Stand


def make(program: Path) -> AgentBackend:
    profile = QwenProfile(
        binary=str(program), model="m", max_turns=80, api_key=SecretStr(SECRET), pass_env=["AGENT_KEY"]
    )
    return QwenBackend(profile)


STAND = Stand(
    make=make,
    success=[
        '{"type":"system","subtype":"init","session_id":"s","model":"m","qwen_code_version":"0.24.4"}',
        '{"type":"assistant","message":{"content":[{"type":"text","text":"working"}]}}',
        '{"type":"assistant","message":{"content":[{"type":"text","text":"All done."}]}}',
        '{"type":"result","subtype":"success","is_error":false,"num_turns":2,"result":"All done."}',
    ],
    last_message="All done.",
    cost_usd=None,
    version_output="0.24.4",
    recorded={
        "success": Recorded(
            K.OK,
            usage=Usage(input_tokens=1800, output_tokens=200, cached_tokens=3600, turns=4),
            session="279f1390-bc3c-4cfb-93b5-8ccc91a174f0",
        ),
        "success-0.15.10": Recorded(
            K.OK,
            usage=Usage(input_tokens=1800, output_tokens=200, cached_tokens=3600, turns=4),
            session="5710578b-38ac-44a6-a169-39fc5e008015",
        ),
        "resume_2": Recorded(K.OK, session="00000000-0000-4000-8000-000000000007"),
        "resume_2-0.15.10": Recorded(K.OK, session="98d76b7f-8527-4ae9-aedb-e1cd1ef9b5f9"),
        "tool_error": Recorded(K.OK),
        "rate_limit_then_ok": Recorded(K.OK),
        "auth_failure": Recorded(K.AUTH, status=1, detail="401 Incorrect API key provided"),
        # This version calls it a success.
        "auth_failure-0.15.10": Recorded(K.AUTH, detail="401 Incorrect API key provided"),
        "credit": Recorded(K.BILLING, status=1, detail="429 You exceeded your current quota"),
        "model_not_found": Recorded(K.CONFIG, status=1, detail="404 model: no such model"),
        "rate_limit_forever": Recorded(K.RATE_LIMITED, status=1, detail="429 Rate limit reached"),
        "overload_giveup": Recorded(K.OVERLOADED, status=1, detail="503 The server is currently overloaded"),
        "server_500": Recorded(K.TRANSIENT, status=1, detail="500 Internal server error"),
        "stream_drop": Recorded(K.TRANSIENT, status=1, detail="Model stream ended without a finish reason"),
        "stream_drop-0.15.10": Recorded(K.TRANSIENT, detail="[API Error: Model stream ended without a finish reason.]"),
        "stream_error": Recorded(K.OVERLOADED, status=1, detail="The server is currently overloaded"),
        "stream_error-0.15.10": Recorded(K.OVERLOADED, detail="The server is currently overloaded"),
        "context_overflow": Recorded(K.CONTEXT_EXHAUSTED, status=1, detail="maximum context length is 128000 tokens"),
        "context_overflow-0.15.10": Recorded(K.CONTEXT_EXHAUSTED, detail="maximum context length is 128000 tokens"),
        "max_turns": Recorded(K.MAX_TURNS, status=53, detail="Reached max session turns"),
        "max_turns-0.15.10": Recorded(K.MAX_TURNS, status=53, detail="Reached max session turns"),
        "sigint": Recorded(K.INTERRUPTED, status=-2, detail="interrupted from outside (status -2)"),
        "sigterm": Recorded(K.INTERRUPTED, status=-15, detail="interrupted from outside (status -15)", usage=Usage()),
        "sigterm-0.15.10": Recorded(K.INTERRUPTED, status=-15, usage=Usage()),
    },
    lacking={"max_budget": "Qwen Code has no money limit"},
)
