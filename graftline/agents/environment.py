"""The environment of an agent's process, built up from nothing: no secret of graftline's own reaches it by accident."""

import contextlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from graftline.agents.backend import Assignment
from graftline.agents.profiles import AgentProfile
from graftline.errors import UserError
from graftline.git.folders import is_real_folder, remove

# How a process reaches the network. Whoever sets these sees what the agent sends, its key included.
NETWORK = (
    *("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "NODE_EXTRA_CA_CERTS"),
    *("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"),
    *("http_proxy", "https_proxy", "all_proxy", "no_proxy"),
)
PASSED = ("PATH", "LANG", "TZ", "USER", "LOGNAME", *NETWORK)
GIT_IDENTITY = ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL")
UNATTENDED = {
    "TERM": "dumb",
    "CI": "1",
    "NO_COLOR": "1",
    "PAGER": "cat",
    "GIT_PAGER": "cat",
    "GIT_EDITOR": "true",
    "GIT_TERMINAL_PROMPT": "0",
    "PYTHONDONTWRITEBYTECODE": "1",
}
PROMPT_FILE_VARIABLE = "GRAFTLINE_TASK_PROMPT_FILE"
"""The one variable that no other call has with the same value."""
CACHES = (
    *(".cache", "Library/Caches", ".npm", ".gradle/caches", ".m2/repository", ".cargo/registry"),
    *(".nuget/packages", "go/pkg/mod"),
)
"""Where package managers keep in a home what they have downloaded: hundreds of megabytes that nobody comes back to."""
AGENT_NAME = "graftline agent"
AGENT_EMAIL = "agent@graftline.invalid"

_NOT_FOR_TASKS = frozenset((*NETWORK, "HOME", "NODE_OPTIONS", "NODE_TLS_REJECT_UNAUTHORIZED", "BUN_OPTIONS"))
_NOT_FOR_TASKS_PREFIXES = (
    *("AIDER_", "ANTHROPIC_", "CLAUDE", "CODEX_", "CURSOR_", "GEMINI_", "GOOGLE_GEMINI_", "GOOGLE_GENAI_"),
    *("LITELLM_", "OPENAI_", "OPENCODE_", "QWEN_", "GRAFTLINE_", "LD_", "DYLD_"),
)
_NOT_FOR_TASKS_SUFFIXES = ("_API_KEY", "_API_BASE")


def refused_names(task_env: Mapping[str, str]) -> tuple[str, ...]:
    """The variables a task must not set: they decide where credentials go or what the agent's own program loads.

    A plan may come from a model; a person can still set them, in the agent's profile.
    """
    return tuple(
        name
        for name in task_env
        if name in _NOT_FOR_TASKS or name.startswith(_NOT_FOR_TASKS_PREFIXES) or name.endswith(_NOT_FOR_TASKS_SUFFIXES)
    )


def agent_environment(
    assignment: Assignment,
    profile: AgentProfile,
    *,
    defaults: Mapping[str, str] | None = None,
    pinned: Mapping[str, str] | None = None,
) -> dict[str, str]:
    """Everything an agent's process gets, in rising order of precedence.

    Ours (path, language, network, git identity, a private home), the backend's `defaults`, what the profile passes,
    what the profile sets, what the task sets, the backend's `pinned`, and the facts, which nobody overrides.
    """
    if refused := refused_names(assignment.env):
        raise UserError(
            f"the task's env sets {', '.join(refused)}, which only an agent profile may set: "
            "move it to `env` or `pass_env` of [agents.NAME]"
        )
    return {
        **base_environment(assignment.environ, home=assignment.home),
        **({"TMPDIR": str(assignment.temporary)} if assignment.temporary else {}),
        **_git_identity(assignment.environ),
        **(defaults or {}),
        **named_variables(assignment.environ, profile.pass_env),
        **profile.env,
        **assignment.env,
        **(pinned or {}),
        **assignment.facts,
        PROMPT_FILE_VARIABLE: str(prompt_file(assignment.folder)),
    }


def base_environment(environ: Mapping[str, str], *, home: Path) -> dict[str, str]:
    """What any program needs to run unattended, and nothing that belongs to graftline or the person."""
    locale = {name: value for name, value in environ.items() if name.startswith("LC_")}
    return {"LANG": "C.UTF-8", **named_variables(environ, PASSED), **locale, **UNATTENDED, "HOME": str(home)}


def named_variables(environ: Mapping[str, str], names: Iterable[str]) -> dict[str, str]:
    """Those of the variables that are there."""
    return {name: environ[name] for name in names if name in environ}


def prompt_file(folder: Path) -> Path:
    """Where the prompt of an attempt lies."""
    return folder / "prompt.md"


def make_private_home(assignment: Assignment) -> None:
    """Make the attempt's home, with a git identity for programs that drop the environment's."""
    home = assignment.home
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    identity = _git_identity(assignment.environ)
    name, email = (_git_config_value(identity[key]) for key in ("GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL"))
    write_private(home / ".gitconfig", f"[user]\n\tname = {name}\n\temail = {email}\n".encode())


def remove_caches(assignment: Assignment) -> None:
    """Delete what package managers kept in the attempt's home; the CLI's sessions and settings stay."""
    for cache in CACHES:
        place = assignment.home
        for name in cache.split("/"):
            if not is_real_folder(place):  # by a link it would be somebody else's cache
                break
            place /= name
        else:
            with contextlib.suppress(OSError):
                remove(place)


def write_private(path: Path, content: bytes) -> None:
    """Write a file that only we can read, replacing one of an earlier call, and never through a link."""
    flags = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC
    with os.fdopen(os.open(path, flags, 0o600), "wb") as file:
        os.fchmod(file.fileno(), 0o600)
        file.write(content)


def _git_identity(environ: Mapping[str, str]) -> dict[str, str]:
    ours = dict(zip(GIT_IDENTITY, (AGENT_NAME, AGENT_EMAIL, AGENT_NAME, AGENT_EMAIL), strict=True))
    return {**ours, **{name: value for name, value in named_variables(environ, GIT_IDENTITY).items() if value}}


def _git_config_value(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
    return f'"{escaped}"'
