"""The Claude Agent SDK: the stand-in is the Python that its program runs in."""

from pathlib import Path

from pydantic import SecretStr

from graftline.agents.backend import AgentBackend
from graftline.agents.claude_agent_sdk import ClaudeAgentSdkBackend
from graftline.agents.outcome import OutcomeKind as K
from graftline.agents.outcome import Usage
from graftline.agents.profiles import ClaudeAgentSdkProfile
from tests.agents.stands import claude_code
from tests.agents.stands.stand import SECRET, Recorded, Stand


def make(program: Path) -> AgentBackend:
    profile = ClaudeAgentSdkProfile(model="m", api_key=SecretStr(SECRET), pass_env=["AGENT_KEY"])
    return ClaudeAgentSdkBackend(profile, python=str(program))


STAND = Stand(
    make=make,
    success=claude_code.STAND.success,
    last_message=claude_code.STAND.last_message,
    version_output="0.2.186",
    recorded={
        "success": Recorded(
            K.OK,
            usage=Usage(
                cost_usd=0.005850000000000001, input_tokens=1300, output_tokens=100, cached_tokens=1500, turns=4
            ),
            session="206f7f6b-2d8c-4840-843f-fb0fbe42226d",
        ),
        "tool_error": Recorded(K.OK),
        "rate_limit_then_ok": Recorded(K.OK),
        "stream_drop": Recorded(K.OK),
        "auth_failure": Recorded(K.AUTH, status=1, detail="Invalid API key · Fix external API key"),
        "credit": Recorded(K.BILLING, status=1, detail="Credit balance is too low"),
        "overload_giveup": Recorded(K.OVERLOADED, status=1, detail="529 Overloaded"),
        "context_overflow": Recorded(K.CONTEXT_EXHAUSTED, status=1, detail="Prompt is too long"),
        "max_turns": Recorded(K.MAX_TURNS, status=1, detail="Reached maximum number of turns (2)"),
        "max_budget": Recorded(K.BUDGET, status=1, detail="Reached maximum budget ($0.5)"),
        "sigterm": Recorded(K.INTERRUPTED, status=-15, detail="interrupted from outside (status -15)"),
    },
)
