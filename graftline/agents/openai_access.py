"""How a CLI reaches a provider that speaks OpenAI's API: its key and its address."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from graftline.agents.profiles import CliProfile
from graftline.agents.provider import host_of

BASE_URL_VARIABLE = "OPENAI_BASE_URL"


@dataclass(frozen=True)
class OpenAIAccess:
    """A key, the variable or setting it is from, and the address of an API; each is empty where nobody set one."""

    key: str
    source: str
    base_url: str

    @property
    def is_possible(self) -> bool:
        """Whether somebody is asked who can answer: a server of one's own, such as Ollama, may want no key."""
        return bool(self.key or self.base_url)

    @property
    def description(self) -> str:
        """What to call it, without what is in it."""
        return self.source or (f"no key, at {host_of(self.base_url, self.base_url)}" if self.base_url else "")


def openai_access(profile: CliProfile, environ: Mapping[str, str], key_variables: Sequence[str]) -> OpenAIAccess:
    """The first key of the profile's own environment, the profile or ours, and the address likewise."""
    source, key = next(_keys(profile, environ, key_variables), ("", ""))
    base_url = profile.env.get(BASE_URL_VARIABLE) or profile.base_url or environ.get(BASE_URL_VARIABLE, "")
    return OpenAIAccess(key, source, base_url)


def _keys(profile: CliProfile, environ: Mapping[str, str], names: Sequence[str]) -> Iterator[tuple[str, str]]:
    yield from ((name, value) for name in names if (value := profile.env.get(name)))
    if profile.api_key is not None and (value := profile.api_key.get_secret_value()):
        yield "api_key of the profile", value
    yield from ((name, value) for name in names if (value := environ.get(name)))
