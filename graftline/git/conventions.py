"""What of a user's git settings holds in worktrees: line ends, file modes, attributes, ignore rules, identity.

Taken over by an allow-list. Everything else a person configured (hooks, filters, merge drivers, templates, signing)
stays out of the hub, so that one plan gives one result on every machine and nothing of an agent's is ever run.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from graftline.errors import GitFailedError
from graftline.git.command import git
from graftline.git.repository import Repository

# Not core.safecrlf: `true` makes `git add` refuse files of mixed line ends, and an agent's work must never be refused.
TAKEN_OVER = frozenset(
    {"core.autocrlf", "core.eol", "core.ignorecase", "core.symlinks", "core.filemode", "core.precomposeunicode"}
)
# No merge or filter attribute: a union or a driver would decide merges, and filters are not run.
ATTRIBUTE = re.compile(r"^[-!]?(?:text|eol|crlf|binary|ident|working-tree-encoding)(?:=\S*)?$")
BUILT_IN_IGNORES = (
    "__pycache__/",
    "*.py[co]",
    ".venv/",
    ".pytest_cache/",
    ".mypy_cache/",
    ".ruff_cache/",
    ".hypothesis/",
    ".tox/",
    ".nox/",
    ".ipynb_checkpoints/",
    ".aider.tags.cache.v*/",
    "*.egg-info/",
    "node_modules/",
    ".DS_Store",
)
FALLBACK_NAME, FALLBACK_EMAIL = "graftline", "graftline@localhost"


@dataclass(frozen=True)
class Identity:
    """Who a commit is by."""

    name: str
    email: str


@dataclass(frozen=True)
class Conventions:
    """What is taken over from one user's settings; `ignores` and `attributes` are texts of git's own formats.

    `private_ignores` is the user's `info/exclude`, which overrules `ignores`, the built-in list and the global rules.
    """

    config: Mapping[str, str]
    ignores: str
    private_ignores: str
    attributes: str
    private_attributes: str
    author: Identity
    committer: Identity


def read_conventions(repository: Repository) -> Conventions:
    """Read what holds for this user in this repository, from every file git itself would read."""
    listed = git(["config", "--list", "-z"], git_dir=repository.git_dir).fields
    settings = {key: value for key, _, value in (entry.partition("\n") for entry in listed)}
    config = {key: value or "true" for key, value in settings.items() if key in TAKEN_OVER}
    private = repository.common_dir / "info"
    built_in = "".join(f"{pattern}\n" for pattern in BUILT_IN_IGNORES)
    return Conventions(
        config=config,
        ignores=built_in + _read(_configured_file(repository, "core.excludesFile", "ignore")),
        private_ignores=_read(private / "exclude"),
        attributes=_allowed_attributes(_read(_configured_file(repository, "core.attributesFile", "attributes"))),
        private_attributes=_allowed_attributes(_read(private / "attributes")),
        author=_identity(repository, "GIT_AUTHOR_IDENT"),
        committer=_identity(repository, "GIT_COMMITTER_IDENT"),
    )


def _configured_file(repository: Repository, key: str, default: str) -> Path:
    named = git(["config", "--type=path", key], git_dir=repository.git_dir, accept=frozenset({0, 1})).text
    if named:
        return repository.path / named
    home = os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config"
    return Path(home) / "git" / default


def _read(path: Path) -> str:
    """A settings file's text, its last line ended; a missing or unreadable one counts as empty, as it does for git."""
    try:
        text = os.fsdecode(path.read_bytes())
    except OSError:
        return ""
    return text if text.endswith("\n") or not text else text + "\n"


def _allowed_attributes(text: str) -> str:
    kept = []
    for line in text.splitlines():
        # A pattern is a word or a quoted string; macros ([attr]...) are left out with what they stand for.
        found = re.match(r'^\s*("(?:[^"\\]|\\.)*"|[^\s#"]\S*)\s+(.*)$', line)
        if found is None or found[1].startswith("[attr]"):
            continue
        attributes = [word for word in found[2].split() if ATTRIBUTE.match(word)]
        if attributes:
            kept.append(f"{found[1]} {' '.join(attributes)}\n")
    return "".join(kept)


def _identity(repository: Repository, variable: str) -> Identity:
    try:  # useConfigOnly: an identity made up from host and login names is worse than ours
        ident = git(["var", variable], git_dir=repository.git_dir, config={"user.useConfigOnly": "true"}).text
    except GitFailedError:
        return Identity(FALLBACK_NAME, FALLBACK_EMAIL)
    found = re.match(r"^(.*) <(.*)> \d+ [-+]\d+$", ident)
    return Identity(found[1], found[2]) if found else Identity(FALLBACK_NAME, FALLBACK_EMAIL)
