"""The agent blocks: what `graftline.toml` can say, a form in the UI can say, and the other way round."""

import inspect
import tomllib
from pathlib import Path

import pytest
from prefect.blocks.core import Block
from pydantic import BaseModel, SecretStr, ValidationError

import graftline.blocks
from graftline.agents.profiles import (
    PROFILE_TYPES,
    AiderProfile,
    AnyProfile,
    ClaudeAgentSdkProfile,
    ClaudeCodeProfile,
    CodexProfile,
    CommandProfile,
    CursorProfile,
    GeminiProfile,
    OpenCodeProfile,
    QwenProfile,
)
from graftline.blocks import (
    AGENT_BLOCKS,
    AgentBlock,
    Aider,
    ClaudeAgentSdk,
    ClaudeCode,
    Codex,
    Command,
    Cursor,
    Gemini,
    OpenCode,
    Qwen,
    to_profile,
)

REGISTERED: list[type[Block]] = [
    member for _, member in inspect.getmembers(graftline.blocks, inspect.isclass) if Block.is_block_class(member)
]
EXAMPLES: list[tuple[AgentBlock, AnyProfile]] = [
    (Command(command=["agent"]), CommandProfile(command=["agent"])),
    (
        Command(command=["agent", "-v"], cost_usd=0.25, env={"A": "b"}, pass_env=["NAME"]),
        CommandProfile(command=["agent", "-v"], cost_usd=0.25, env={"A": "b"}, pass_env=["NAME"]),
    ),
    (Aider(model="openai/gpt-5", edit_format="whole"), AiderProfile(model="openai/gpt-5", edit_format="whole")),
    (
        ClaudeAgentSdk(auth_token=SecretStr("sk-very-secret")),
        ClaudeAgentSdkProfile(auth_token=SecretStr("sk-very-secret")),
    ),
    (ClaudeCode(), ClaudeCodeProfile()),
    (Codex(), CodexProfile()),
    (Qwen(model="qwen3-coder", max_turns=60), QwenProfile(model="qwen3-coder", max_turns=60)),
    (Codex(base_url="http://127.0.0.1:11434/v1"), CodexProfile(base_url="http://127.0.0.1:11434/v1")),
    (
        ClaudeCode(model="sonnet", max_turns=60, api_key=SecretStr("sk-very-secret")),
        ClaudeCodeProfile(model="sonnet", max_turns=60, api_key=SecretStr("sk-very-secret")),
    ),
    (Cursor(api_key=SecretStr("sk-very-secret")), CursorProfile(api_key=SecretStr("sk-very-secret"))),
    (
        Gemini(model="gemini-2.5-pro", max_turns=60, api_key=SecretStr("sk-very-secret")),
        GeminiProfile(model="gemini-2.5-pro", max_turns=60, api_key=SecretStr("sk-very-secret")),
    ),
    (
        OpenCode(model="qwen3-coder", base_url="http://localhost:11434/v1"),
        OpenCodeProfile(model="qwen3-coder", base_url="http://localhost:11434/v1"),
    ),
]


def test_every_profile_type_has_exactly_one_block() -> None:
    types = [profile for block in REGISTERED for profile in PROFILE_TYPES.values() if issubclass(block, profile)]

    assert sorted(types, key=repr) == sorted(PROFILE_TYPES.values(), key=repr)
    assert set(AGENT_BLOCKS) == set(REGISTERED)  # what flows look a name up in is what a server knows


def test_servers_and_workers_find_the_blocks_by_the_entry_point() -> None:
    project = tomllib.loads((Path(__file__).parents[2] / "pyproject.toml").read_text())["project"]

    assert project["entry-points"]["prefect.collections"] == {"graftline": graftline.blocks.__name__}


@pytest.mark.parametrize(("block", "profile"), EXAMPLES)
def test_a_block_gives_the_same_profile_as_the_settings_file(block: AgentBlock, profile: AnyProfile) -> None:
    back = to_profile(block)

    assert back == profile
    assert type(back) is type(profile)  # a block is a profile too, and carries fields of Prefect's


@pytest.mark.parametrize(("block", "profile"), EXAMPLES)
def test_a_profile_of_the_settings_file_makes_the_same_block(block: AgentBlock, profile: AnyProfile) -> None:
    assert type(block).model_validate(profile.model_dump()) == block


@pytest.mark.parametrize("block", REGISTERED)
def test_a_misspelt_field_is_an_error(block: type[BaseModel]) -> None:
    with pytest.raises(ValidationError) as caught:
        block.model_validate({"command": ["agent"], "type": "command", "modle": "sonnet"})

    assert ("modle",) in [error["loc"] for error in caught.value.errors() if error["type"] == "extra_forbidden"]


@pytest.mark.parametrize("block", REGISTERED)
def test_a_reference_to_a_saved_block_is_never_taken_for_an_inline_one(block: type[BaseModel]) -> None:
    with pytest.raises(ValidationError):
        block.model_validate({"$ref": {"block_document_id": "5b2ac9a5-2f4a-4a5c-8c22-5c9a4d3c8f10"}})


def test_a_secret_is_shown_nowhere() -> None:
    block = ClaudeCode(api_key=SecretStr("sk-very-secret"))

    shown = [repr(block), str(block), str(block.model_dump()), block.model_dump_json(), repr(to_profile(block))]

    assert [text for text in shown if "sk-very-secret" in text] == []
    assert "api_key" in ClaudeCode.model_json_schema()["secret_fields"]  # what the server encrypts


@pytest.mark.parametrize("block", REGISTERED)
def test_the_form_says_what_each_field_is(block: type[Block]) -> None:
    fields = block.model_json_schema()["properties"]

    assert [name for name, field in fields.items() if name != "type" and not field.get("description")] == []
    assert (block.get_description() or "").endswith(".")
    assert block.get_block_type_slug().startswith("graftline-")  # one catalogue for all that registers on a server


@pytest.mark.parametrize("block", REGISTERED)
def test_looking_at_a_block_fetches_nothing_from_elsewhere(block: type[Block]) -> None:
    assert (block._logo_url, block._documentation_url) == (None, None)
