"""aider."""

from pathlib import Path

from pydantic import SecretStr

from graftline.agents.aider import AiderBackend
from graftline.agents.backend import AgentBackend
from graftline.agents.outcome import OutcomeKind as K
from graftline.agents.outcome import Usage
from graftline.agents.profiles import AiderProfile
from tests.agents.stands.stand import SECRET, Recorded, Stand


def make(program: Path) -> AgentBackend:
    profile = AiderProfile(
        binary=str(program), model="openai/m", base_url="http://m/v1", api_key=SecretStr(SECRET), pass_env=["AGENT_KEY"]
    )
    return AiderBackend(profile)


STAND = Stand(
    make=make,
    success=[
        "Aider v0.86.2",
        '{"event": "message_send_starting", "properties": {}, "user_id": "u"}',
        "working",
        "All done.",
        "Tokens: 1.0k sent, 50 received. Cost: $0.01 message, $0.01 session.",
        '{"event": "message_send", "properties": {"cost": 0.01}, "user_id": "u"}',
        '{"event": "exit", "properties": {"reason": "Completed --message-file"}, "user_id": "u"}',
    ],
    last_message="working\nAll done.",
    version_output="aider 0.86.2",
    recorded={
        "success": Recorded(K.OK, usage=Usage(cost_usd=0.003, input_tokens=1000, output_tokens=50, turns=1)),
        "tool_error": Recorded(K.OK, usage=Usage(cost_usd=0.006, input_tokens=2000, output_tokens=100, turns=2)),
        "rate_limit_then_ok": Recorded(K.OK),
        "stream_drop": Recorded(K.OK),
        # It exits 0 whatever happened.
        "auth_failure": Recorded(K.AUTH, detail="Incorrect API key provided"),
        "credit": Recorded(K.BILLING, detail="You exceeded your current quota"),
        "model_not_found": Recorded(K.CONFIG, detail="no such model"),
        "rate_limit_forever": Recorded(K.RATE_LIMITED, detail="Rate limit reached for requests"),
        "overload_giveup": Recorded(K.OVERLOADED, detail="The server is currently overloaded"),
        "server_500": Recorded(K.TRANSIENT, detail="Internal server error"),
        "context_overflow": Recorded(K.CONTEXT_EXHAUSTED, detail="has hit a token limit"),
        "edits_never_fit": Recorded(K.FAILED, detail="the model's edits do not fit the files"),
        "sigterm": Recorded(K.INTERRUPTED, status=-15, detail="interrupted from outside (status -15)", usage=Usage()),
    },
    lacking={
        "max_turns": "the model is asked once, and at most three times more for better edits",
        "max_budget": "aider knows no limit of money",
    },
)
