"""Who plans: what the settings say, else what there is, and what is said when there is nobody."""

import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from graftline.agents.profiles import PROFILE_TYPES
from graftline.errors import ExitCode, PlannerUnavailableError, SettingsError
from graftline.planning.anthropic_provider import DEFAULT_MODEL
from graftline.planning.choice import FORM_TYPES, choose_provider
from graftline.settings import Settings
from tests.agents.stands import STANDS

KEY = {"ANTHROPIC_API_KEY": "sk-anthropic-secret"}
OPENAI = {"OPENAI_API_KEY": "sk-openai-secret"}


@pytest.fixture
def environ(tmp_path: Path) -> dict[str, str]:
    """Of a person who has nothing."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "home").mkdir()
    return {"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin", "HOME": str(tmp_path / "home")}


def install(environ: Mapping[str, str], name: str, version: str) -> None:
    program = Path(environ["PATH"].split(":")[0]) / name
    program.write_text(f"#!/bin/sh\necho {version}\n")
    program.chmod(0o755)


def log_in(environ: Mapping[str, str], file: str) -> None:
    path = Path(environ["HOME"]) / file
    path.parent.mkdir()
    path.write_text("{}")


async def chosen(environ: Mapping[str, str], agents: object = None, **planner: object) -> str:
    settings = Settings.model_validate({"planner": planner, "agents": agents or {}})
    found = str(await choose_provider(settings, environ))
    assert "secret" not in found
    return found


async def test_without_a_setting_the_first_of_three_ways_is_taken(environ: dict[str, str]) -> None:
    install(environ, "codex", "codex-cli 0.169.0")
    log_in(environ, ".codex/auth.json")
    login = f"login in {environ['HOME']}/.codex"
    first = "(the first that can be asked)"
    assert await chosen(environ) == f"codex 0.169.0, the model that it chooses, chatgpt.com, {login} {first}"
    install(environ, "claude", "2.1.329")
    assert (await chosen(environ)).startswith("codex "), "a CLI without a login cannot be asked"
    local = {"mine": {"type": "codex", "base_url": "http://localhost:1/v1", "model": "m"}}
    assert (await chosen(environ, local)).startswith("mine 0.169.0, model m, localhost:1, no key, at localhost:1 ")
    log_in(environ, ".claude/.credentials.json")
    assert (await chosen(environ, local)).startswith("claude-code 2.1.329, "), "the agent of tasks goes first"
    found = await chosen(environ | OPENAI)
    assert re.fullmatch(
        r"openai [\d.]+, model gpt-5\.5, api\.openai\.com, OPENAI_API_KEY \(the first that can be asked\)", found
    )
    found = await chosen(environ | OPENAI | KEY)
    assert re.fullmatch(rf"anthropic [\d.]+, model {DEFAULT_MODEL}, api\.anthropic\.com, ANTHROPIC_API_KEY .*", found)
    token = {"ANTHROPIC_AUTH_TOKEN": "token-secret", "ANTHROPIC_BASE_URL": "http://gateway:8080/a"}
    assert ", gateway:8080, ANTHROPIC_AUTH_TOKEN " in await chosen(environ | OPENAI | token)


async def test_a_setting_decides_whatever_else_there_is(environ: dict[str, str]) -> None:
    everything = environ | KEY | OPENAI
    install(environ, "codex", "codex-cli 0.169.0")
    install(environ, "claude", "2.1.329")
    says = "(as [planner] says)"
    assert (await chosen(everything, provider="openai", model="m")).endswith(
        f"model m, api.openai.com, OPENAI_API_KEY {says}"
    )
    assert await chosen(everything, provider="agent") == (
        f"claude-code 2.1.329, the model that it chooses, api.anthropic.com, ANTHROPIC_API_KEY {says}"
    )
    assert await chosen(everything, agent="codex", model="m") == (
        f"codex 0.169.0, model m, api.openai.com, OPENAI_API_KEY {says}"
    )
    profiles = {"deep": {"type": "claude-code", "model": "opus"}}
    assert "deep 2.1.329, model opus, " in await chosen(everything, profiles, agent="deep")
    assert "deep 2.1.329, model m, " in await chosen(everything, profiles, agent="deep", model="m")
    local = await chosen(environ | KEY, base_url="http://localhost:11434/v1", model="qwen")
    assert local.endswith(f"model qwen, localhost:11434, no key {says}")
    assert ", gateway, ANTHROPIC_API_KEY " in await chosen(
        environ | KEY, provider="anthropic", base_url="https://gateway/api"
    )


async def test_with_nobody_to_ask_the_three_ways_are_explained(environ: dict[str, str]) -> None:
    install(environ, "claude", "2.1.329")
    with pytest.raises(PlannerUnavailableError) as error:
        await chosen(environ)
    assert error.value.exit_code == ExitCode.CANNOT_RUN
    head, anthropic, openai, agent, tail = str(error.value).splitlines()
    assert "three ways to get a planner" in head
    assert anthropic.endswith("set ANTHROPIC_API_KEY")
    assert "OPENAI_API_KEY" in openai
    assert "claude-code: no credentials" in agent
    assert "codex: 'codex' is not an executable file on PATH" in agent
    assert "graftline run PLAN_FILE" in tail


async def test_without_its_library_an_api_is_passed_over_and_how_to_get_it_is_said(
    environ: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    with pytest.raises(PlannerUnavailableError, match=r"among them: pip install 'graftline\[openai\]'\n"):
        await chosen(environ | OPENAI)
    with pytest.raises(PlannerUnavailableError, match=r"asks for openai, .*: pip install 'graftline\[openai\]'$"):
        await chosen(environ | OPENAI, provider="openai")


@pytest.mark.parametrize(
    ("planner", "problem"),
    [
        ({"provider": "anthropic", "agent": "codex"}, "cannot be combined with provider = 'anthropic'"),
        ({"provider": "openai", "agent": "codex"}, "cannot be combined with provider = 'openai'"),
        ({"provider": "agent", "base_url": "http://x"}, r"set it in the agent's profile, \[agents\.NAME\]"),
        ({"agent": "codex", "base_url": "http://x"}, r"set it in the agent's profile, \[agents\.NAME\]"),
        ({"base_url": "localhost:11434"}, "must be an address such as"),
        ({"base_url": "http://[x"}, "must be an address such as"),
        ({"base_url": "http://x:99999"}, "must be an address such as"),
        ({"agent": "gemini"}, "gemini cannot be asked for a plan, only claude-code and codex can"),
        ({"agent": "codexx"}, "did you mean 'codex'"),
    ],
)
async def test_settings_that_cannot_all_be_meant_are_refused(
    environ: dict[str, str], planner: dict[str, object], problem: str
) -> None:
    with pytest.raises(SettingsError, match=problem):
        await chosen(environ | KEY, **planner)


async def test_what_no_key_can_be_is_refused_and_not_shown(environ: dict[str, str]) -> None:
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "OPENAI_API_KEY"):
        assert f", {name} (" in await chosen(environ | {name: "sk-secret\n"})
        for key in ("sk-secret\nX: y", "sk-s\N{LATIN SMALL LETTER E WITH ACUTE}cret"):
            with pytest.raises(SettingsError, match=f"^{name} holds characters that no key has: set it anew$"):
                await chosen(environ | {name: key})


@pytest.mark.parametrize(
    ("planner", "variables", "need"),
    [
        ({"provider": "anthropic"}, OPENAI, "set ANTHROPIC_API_KEY"),
        ({"provider": "openai"}, KEY, "set OPENAI_API_KEY"),
        ({"provider": "openai", "base_url": "http://localhost:1/v1"}, {}, r"set \[planner\] model"),
        ({"provider": "agent"}, KEY, "install Claude Code .*; or codex: "),
        ({"agent": "codex"}, KEY, "codex: 'codex' is not an executable"),
    ],
)
async def test_whoever_is_asked_for_says_what_is_missing(
    environ: dict[str, str], planner: dict[str, object], variables: dict[str, str], need: str
) -> None:
    with pytest.raises(PlannerUnavailableError, match=need):
        await chosen(environ | variables, **planner)


def test_the_agents_that_can_be_asked_are_those_that_fill_forms(tmp_path: Path) -> None:
    filling = [kind for kind in PROFILE_TYPES if STANDS[kind].make(program=tmp_path).capabilities.fills_forms]
    assert sorted(filling) == sorted(FORM_TYPES)
