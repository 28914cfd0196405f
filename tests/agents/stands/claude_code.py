"""Claude Code."""

from pathlib import Path

from pydantic import SecretStr

from graftline.agents.backend import AgentBackend
from graftline.agents.claude_code import ClaudeCodeBackend
from graftline.agents.outcome import OutcomeKind as K
from graftline.agents.outcome import Usage
from graftline.agents.profiles import ClaudeCodeProfile
from tests.agents.stands.stand import SECRET, Recorded, Stand


def make(program: Path) -> AgentBackend:
    profile = ClaudeCodeProfile(binary=str(program), model="m", api_key=SecretStr(SECRET), pass_env=["AGENT_KEY"])
    return ClaudeCodeBackend(profile)


STAND = Stand(
    make=make,
    success=[
        '{"type":"system","subtype":"init","model":"m","claude_code_version":"2.1.329"}',
        '{"type":"assistant","message":{"content":[{"type":"text","text":"working"}]}}',
        '{"type":"result","subtype":"success","is_error":false,"result":"All done.","total_cost_usd":0.01}',
    ],
    last_message="All done.",
    version_output="2.1.329 (Claude Code)",
    recorded={
        "success": Recorded(
            K.OK,
            usage=Usage(cost_usd=0.02028, input_tokens=5400, output_tokens=200, cached_tokens=3600, turns=5),
            session="35e199ac-1f72-4ae0-b5a0-ba60962e6705",
        ),
        "success-2.1.329": Recorded(K.OK),
        "tool_error": Recorded(K.OK),
        "rate_limit_then_ok": Recorded(K.OK),
        "stream_drop": Recorded(K.OK),
        "auth_failure": Recorded(K.AUTH, status=1, detail="Invalid API key · Fix external API key"),
        # Killed from outside while it kept asking with a refused key.
        "auth_failure-2.1.329": Recorded(
            K.AUTH, status=-9, detail="the provider refused the credentials: authentication_failed (401)"
        ),
        "credit": Recorded(K.BILLING, status=1, detail="Credit balance is too low"),
        "credit-2.1.329": Recorded(K.BILLING, status=1, detail="Credit balance is too low"),
        # Billing hides under 429.
        "quota": Recorded(K.BILLING, status=1, detail="exceeded your current quota"),
        "quota-2.1.329": Recorded(K.BILLING, status=1, detail="exceeded your current quota"),
        "model_not_found": Recorded(K.CONFIG, status=1, detail="issue with the selected model"),
        "rate_limit_forever": Recorded(K.RATE_LIMITED, status=1, detail="would exceed your organization's rate limit"),
        "overload_giveup": Recorded(K.OVERLOADED, status=1, detail="529 Overloaded"),
        "overload_giveup-2.1.329": Recorded(K.OVERLOADED, status=1, detail="529 Overloaded"),
        "server_500": Recorded(K.TRANSIENT, status=1, detail="500 Internal server error"),
        "context_overflow": Recorded(K.CONTEXT_EXHAUSTED, status=1, detail="Prompt is too long"),
        "max_turns": Recorded(K.MAX_TURNS, status=1, detail="Reached maximum number of turns (2)"),
        "max_budget": Recorded(
            K.BUDGET,
            status=1,
            detail="Reached maximum budget ($0.5)",
            usage=Usage(
                cost_usd=0.9000000000000001, input_tokens=200000, output_tokens=20000, cached_tokens=0, turns=2
            ),
        ),
        "sigint": Recorded(K.INTERRUPTED, status=1, detail="interrupted from outside (aborted_tools)"),
        # This version exits 0 when interrupted.
        "sigint-2.1.329": Recorded(K.INTERRUPTED, detail="interrupted from outside (aborted_tools)"),
        "sigterm": Recorded(K.INTERRUPTED, status=143, detail="interrupted from outside (status 143)", usage=Usage()),
        "sigterm-2.1.329": Recorded(K.INTERRUPTED, status=143, detail="interrupted from outside (status 143)"),
    },
)
