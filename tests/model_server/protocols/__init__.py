"""The wire protocols, one module each."""

from tests.model_server.protocols import anthropic_messages, gemini, openai_chat, openai_responses
from tests.model_server.protocols.wire import WireProtocol

PROTOCOLS: tuple[WireProtocol, ...] = (anthropic_messages, openai_responses, openai_chat, gemini)


def protocol_at(path: str) -> WireProtocol | None:
    """The protocol whose requests for a model's words come in at this path."""
    return next((protocol for protocol in PROTOCOLS if protocol.serves(path)), None)
