"""Codex."""

from pathlib import Path

from pydantic import SecretStr

from graftline.agents.backend import AgentBackend
from graftline.agents.codex import CodexBackend
from graftline.agents.outcome import OutcomeKind as K
from graftline.agents.outcome import Usage
from graftline.agents.profiles import CodexProfile
from tests.agents.stands.stand import SECRET, Recorded, Stand


def make(program: Path) -> AgentBackend:
    address = "http://127.0.0.1:1/v1"
    profile = CodexProfile(
        binary=str(program), model="m", base_url=address, api_key=SecretStr(SECRET), pass_env=["AGENT_KEY"]
    )
    return CodexBackend(profile)


STAND = Stand(
    make=make,
    success=[
        '{"type":"thread.started","thread_id":"01a1f99d-8a7b-7f23-8468-a1a9f428ff81"}',
        '{"type":"turn.started"}',
        '{"type":"item.completed","item":{"id":"item_0","type":"agent_message","text":"working"}}',
        '{"type":"item.completed","item":{"id":"item_1","type":"agent_message","text":"All done."}}',
        '{"type":"turn.completed","usage":{"input_tokens":10,"cached_input_tokens":4,"output_tokens":2}}',
    ],
    last_message="All done.",
    cost_usd=None,
    version_output="codex-cli 0.169.0",
    recorded={
        "success": Recorded(
            K.OK,
            usage=Usage(input_tokens=1800, output_tokens=200, cached_tokens=3600),
            session="01a1f99d-8a7b-7f23-8468-a1a9f428ff81",
        ),
        # What a tool could not do stands on stderr, in the words of the model.
        "tool_error": Recorded(K.OK),
        "rate_limit_then_ok": Recorded(K.OK),
        "resume_2": Recorded(K.OK, session="01a1f9aa-0897-7131-b18f-ff8574bb8753"),
        "auth_failure": Recorded(K.AUTH, status=1, detail="unexpected status 401 Unauthorized"),
        "credit": Recorded(K.BILLING, status=1, detail="Quota exceeded. Check your plan and billing details."),
        "model_not_found": Recorded(K.CONFIG, status=1, detail="no such model"),
        "unknown_option": Recorded(K.CONFIG, status=2, detail="unexpected argument '--nope' found"),
        "rate_limit_forever": Recorded(K.RATE_LIMITED, status=1, detail="last status: 429 Too Many Requests"),
        "overload_giveup": Recorded(K.OVERLOADED, status=1, detail="Selected model is at capacity"),
        # Its sentence for a 500, whose status it does not tell.
        "server_500": Recorded(K.OVERLOADED, status=1, detail="currently experiencing high demand"),
        "stream_drop": Recorded(K.TRANSIENT, status=1, detail="stream disconnected before completion"),
        "no_network": Recorded(K.TRANSIENT, status=1, detail="Connection failed: error sending request"),
        "context_overflow": Recorded(
            K.CONTEXT_EXHAUSTED, status=1, detail="Codex ran out of room in the model's context window"
        ),
        "sigint": Recorded(K.INTERRUPTED, status=1, detail="in the middle of a turn", usage=Usage()),
        "sigterm": Recorded(K.INTERRUPTED, status=-15, detail="interrupted from outside (status -15)", usage=Usage()),
    },
    lacking={
        "max_turns": "Codex has no turn limit",
        "max_budget": "Codex has no money limit",
    },
)
