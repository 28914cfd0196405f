"""How a CLI reaches a provider that speaks OpenAI's API: its key and its address."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from graftline.agents.profiles import CliProfile

BASE_URL_VARIABLE = "OPENAI_BASE_URL"


@dataclass(frozen=True)
class OpenAIAccess:
    """A key and the address of an API; each is empty where nobody set one."""

    key: str
    base_url: str


def openai_access(profile: CliProfile, environ: Mapping[str, str], key_variables: Iterable[str]) -> OpenAIAccess:
    """The first key of the profile's own environment, the profile or ours, and the address likewise."""
    key = profile.api_key.get_secret_value() if profile.api_key is not None else ""
    return OpenAIAccess(
        key=_first(profile.env, key_variables) or key or _first(environ, key_variables),
        base_url=profile.env.get(BASE_URL_VARIABLE) or profile.base_url or environ.get(BASE_URL_VARIABLE, ""),
    )


def _first(variables: Mapping[str, str], names: Iterable[str]) -> str:
    return next((value for name in names if (value := variables.get(name))), "")
