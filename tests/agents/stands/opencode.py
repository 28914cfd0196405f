"""OpenCode."""

from pathlib import Path

from pydantic import SecretStr

from graftline.agents.backend import AgentBackend
from graftline.agents.opencode import OpenCodeBackend
from graftline.agents.outcome import OutcomeKind as K
from graftline.agents.outcome import Usage
from graftline.agents.profiles import OpenCodeProfile
from tests.agents.stands.stand import SECRET, Recorded, Stand


def make(program: Path) -> AgentBackend:
    profile = OpenCodeProfile(
        binary=str(program),
        model="m",
        base_url="http://localhost:11434/v1",
        api_key=SecretStr(SECRET),
        pass_env=["AGENT_KEY"],
    )
    return OpenCodeBackend(profile)


STAND = Stand(
    make=make,
    success=[
        '{"type":"step_start","sessionID":"ses_1","part":{"type":"step-start"}}',
        '{"type":"text","sessionID":"ses_1","part":{"text":"working"}}',
        '{"type":"step_finish","sessionID":"ses_1","part":{"reason":"tool-calls","tokens":{"input":10},"cost":0.004}}',
        '{"type":"text","sessionID":"ses_1","part":{"text":"All done."}}',
        '{"type":"step_finish","sessionID":"ses_1","part":{"reason":"stop","tokens":{"output":2},"cost":0.006}}',
    ],
    last_message="All done.",
    version_output="1.18.33",
    recorded={
        "success": Recorded(
            K.OK,
            usage=Usage(cost_usd=0.0084, input_tokens=1800, output_tokens=200, cached_tokens=3600, turns=4),
            session="ses_e066231f0ffe6U4DGZdTEzqNVI",
        ),
        # Under the id of the session it went on with, and with what this call used.
        "resume_2": Recorded(
            K.OK,
            usage=Usage(cost_usd=0.0075, input_tokens=2000, output_tokens=100, cached_tokens=0, turns=2),
            session="ses_e0654b4d3ffee5JiG7I8a28DUv",
        ),
        "tool_error": Recorded(K.OK),
        "rate_limit_then_ok": Recorded(K.OK),
        # It asked again by itself.
        "stream_drop": Recorded(K.OK),
        "auth_failure": Recorded(K.AUTH, status=1, detail="Incorrect API key provided"),
        # Billing hides under 429.
        "credit": Recorded(K.BILLING, status=1, detail="exceeded your current quota"),
        "model_not_found": Recorded(K.CONFIG, status=1, detail="no such model"),
        "rate_limit_forever": Recorded(K.RATE_LIMITED, status=1, detail="Please try again in 1s."),
        "overload_giveup": Recorded(K.OVERLOADED, status=1, detail="currently overloaded", usage=Usage()),
        "stream_error": Recorded(K.OVERLOADED, status=1, detail="currently overloaded"),
        "server_500": Recorded(K.TRANSIENT, status=1, detail="server"),
        "context_overflow": Recorded(K.CONTEXT_EXHAUSTED, status=1, detail="maximum context length"),
        # It makes a summary and goes on, and exits with 1 all the same.
        "context_compacted": Recorded(
            K.OK,
            status=1,
            detail="it got over an error: This model's maximum context length is 128000 tokens. However, your messages "
            "resulted in 250000 tokens. Please reduce the length of the messages.",
        ),
        "sigterm": Recorded(K.INTERRUPTED, status=-15, detail="interrupted from outside (status -15)", usage=Usage()),
    },
    lacking={
        "max_turns": "the CLI has no limit on turns",
        "max_budget": "the CLI knows no limit in money",
    },
)
