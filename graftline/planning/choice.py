"""Who plans: the provider that `[planner]` names, else the first of three that there is something to reach it with."""

import importlib.util
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from typing import Literal
from urllib.parse import urlsplit

from graftline.agents.backends import resolve_backend
from graftline.agents.openai_access import BASE_URL_VARIABLE
from graftline.budget import model_asked_for
from graftline.errors import PlannerUnavailableError, SettingsError
from graftline.planning.agent_provider import AgentProvider
from graftline.planning.anthropic_provider import AnthropicProvider, Credentials
from graftline.planning.openai_provider import OpenAIProvider
from graftline.planning.provider import Provider
from graftline.settings import AgentSettings, Settings

Way = Literal["anthropic", "openai", "agent"]
WAYS: tuple[Way, ...] = ("anthropic", "openai", "agent")
FORM_TYPES = ("claude-code", "codex")
"""The agents that can be asked for a plan, the first of which is asked first."""


@dataclass(frozen=True)
class Choice:
    """A provider, with what it is reached with, by name; `version` is that of its library or CLI.

    `is_automatic` is true where no setting asked for it.
    """

    provider: Provider
    access: str
    version: str
    is_automatic: bool = False

    def __str__(self) -> str:
        provider = self.provider
        name = provider.profile if provider.type == "agent" else provider.type
        model = f"model {provider.model}" if provider.model else "the model that it chooses"
        why = "the first that can be asked" if self.is_automatic else "as [planner] says"
        return f"{name} {self.version}, {model}, {provider.host}, {self.access} ({why})"


async def choose_provider(settings: Settings, environ: Mapping[str, str]) -> Choice:
    """The provider that plans.

    When no setting says which, it is Anthropic's API where there is a key for it, else an API like OpenAI's where there
    is a key or an address, else the first agent CLI that can be asked.

    Raises:
        SettingsError: what `[planner]` says contradicts itself, or names nobody.
        PlannerUnavailableError: whoever could be asked is out of reach; says how to get a planner.
    """
    _check(settings)
    stated = stated_way(settings)
    missing: dict[Way, str] = {}
    for way in (stated,) if stated else WAYS:
        found = await _look_for(way, settings, environ)
        if isinstance(found, Choice):
            return found
        missing[way] = found
    if stated:
        raise PlannerUnavailableError(f"[planner] asks for {stated}, which is out of reach: {missing[stated]}")
    raise PlannerUnavailableError(
        "nobody is there to make a plan of a request. There are three ways to get a planner:\n"
        f"  an API key of Anthropic: {missing['anthropic']}\n"
        f"  an API like OpenAI's, a local one among them: {missing['openai']}\n"
        f"  an agent CLI that you are logged in to: {missing['agent']}\n"
        "A plan that you wrote yourself needs none: graftline run PLAN_FILE"
    )


def stated_way(settings: Settings) -> Way | None:
    """The way that the settings name, if only by something that no other one has."""
    planner = settings.planner
    if planner.provider != "auto":
        return planner.provider
    if planner.agent:
        return "agent"
    return "openai" if planner.base_url else None


def _check(settings: Settings) -> None:
    """Refuse settings that cannot all be meant."""
    planner = settings.planner
    if planner.agent and planner.provider not in {"auto", "agent"}:
        raise SettingsError(
            f"[planner] agent = {planner.agent!r} cannot be combined with provider = {planner.provider!r}: "
            'leave one of them out, or set provider = "agent"'
        )
    if not planner.base_url:
        return
    if stated_way(settings) == "agent":
        raise SettingsError(
            "[planner] `base_url` is the address of an API, and cannot be combined with an agent: "
            "set it in the agent's profile, [agents.NAME]"
        )
    _check_address(planner.base_url, "[planner] base_url")


def _check_address(address: str, place: str) -> None:
    try:
        parts = urlsplit(address)
        is_address = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        is_address = False
    if not is_address:
        raise SettingsError(f"{place} must be an address such as http://localhost:11434/v1")


async def _look_for(way: Way, settings: Settings, environ: Mapping[str, str]) -> Choice | str:
    """The provider of a way, or what it needs to be one."""
    match way:
        case "anthropic":
            return _anthropic(settings, environ)
        case "openai":
            return _openai(settings, environ)
        case "agent":
            return await _agent(settings, environ)


def _anthropic(settings: Settings, environ: Mapping[str, str]) -> Choice | str:
    credentials: Credentials
    if key := _key(environ, "ANTHROPIC_API_KEY"):
        credentials, access = {"api_key": key}, "ANTHROPIC_API_KEY"
    elif token := _key(environ, "ANTHROPIC_AUTH_TOKEN"):
        credentials, access = {"auth_token": token}, "ANTHROPIC_AUTH_TOKEN"
    else:
        return "set ANTHROPIC_API_KEY"
    provider = AnthropicProvider(
        model=settings.planner.model,
        base_url=_address(settings, environ, "ANTHROPIC_BASE_URL"),
        credentials=credentials,
        timeouts=settings.timeouts,
    )
    return Choice(provider, access, version("anthropic"), stated_way(settings) is None)


def _openai(settings: Settings, environ: Mapping[str, str]) -> Choice | str:
    planner = settings.planner
    key, base_url = _key(environ, "OPENAI_API_KEY"), _address(settings, environ, BASE_URL_VARIABLE)
    is_installed = importlib.util.find_spec("openai") is not None
    needs = [
        *(() if is_installed else ("pip install 'graftline[openai]'",)),
        *(() if key or base_url else (f"set OPENAI_API_KEY, or the address with `base_url` or {BASE_URL_VARIABLE}",)),
        *(("set [planner] model, one that the server at that address has",) if base_url and not planner.model else ()),
    ]
    if needs:
        return ", and ".join(needs)
    provider = OpenAIProvider(model=planner.model, base_url=base_url, api_key=key, timeouts=settings.timeouts)
    access = "OPENAI_API_KEY" if key else "no key"
    return Choice(provider, access, version("openai"), stated_way(settings) is None)


def _key(environ: Mapping[str, str], name: str) -> str:
    """The key in a variable; a line end that came along with it is none of it."""
    key = environ.get(name, "").strip()
    if not all("!" <= character <= "~" for character in key):  # a library's own error would show the key
        raise SettingsError(f"{name} holds characters that no key has: set it anew")
    return key


def _address(settings: Settings, environ: Mapping[str, str], variable: str) -> str:
    """The address that is set, empty for the provider's own."""
    if settings.planner.base_url:
        return settings.planner.base_url
    if address := environ.get(variable, ""):
        _check_address(address, variable)
    return address


async def _agent(settings: Settings, environ: Mapping[str, str]) -> Choice | str:
    """The agent that is named, else the first that can be asked: the run's own, a profile, a bare type."""
    planner = settings.planner
    problems: dict[str, str] = {}
    for name in (planner.agent,) if planner.agent else dict.fromkeys(_agents(settings)):
        backend = resolve_backend(_with_model(settings, name), name)
        if not backend.capabilities.fills_forms:
            can = " and ".join(FORM_TYPES)
            raise SettingsError(
                f"[planner] agent = {name!r}: {backend.type} cannot be asked for a plan, only {can} can"
            )
        probe = await backend.probe(environ)
        if not probe.problems:
            model = model_asked_for(_with_model(settings, name), name)
            provider = AgentProvider(backend, profile=name, model=model, environ=environ, timeouts=settings.timeouts)
            return Choice(provider, probe.access, probe.version, stated_way(settings) is None)
        problems[name] = "; ".join(probe.problems)
    return "; or ".join(f"{name}: {problem}" for name, problem in problems.items())


def _agents(settings: Settings) -> tuple[str, ...]:
    """The names of the agents that could be asked, in the order in which they are."""
    profiles = (name for name, profile in settings.agents.items() if profile.type in FORM_TYPES)
    names = (*profiles, *FORM_TYPES)
    own = settings.agent.backend
    return (own, *names) if own in names else names


def _with_model(settings: Settings, name: str) -> Settings:
    """The settings as they are with `[planner] model` in the agent's place."""
    model = settings.planner.model
    if not model:
        return settings
    if (profile := settings.agents.get(name)) is not None:
        changed = profile.model_copy(update={"model": model})
        return settings.model_copy(update={"agents": {**settings.agents, name: changed}})
    agent = settings.agent if name == settings.agent.backend else AgentSettings(backend=name)
    return settings.model_copy(update={"agent": agent.model_copy(update={"model": model})})
