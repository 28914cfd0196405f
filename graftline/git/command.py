"""The one wrapper around the git binary: every git command graftline issues goes through `git`.

A command sees only what it is given: no inherited `GIT_*`, no hooks, no file system monitor, no prompts, its own
session (a Ctrl-C in the terminal would otherwise kill the git that is saving somebody's work).
"""

import functools
import os
import re
import shutil
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, BinaryIO

import anyio.to_thread

from graftline.errors import GitFailedError, GitMissingError

if TYPE_CHECKING:
    from git import Git

LEAST_VERSION = (2, 38)  # the first one with `merge-tree --write-tree`
NOTHING: Mapping[str, str] = MappingProxyType({})

# Later `-c` win, so a caller's `config` overrides these.
SAFE_CONFIG: Mapping[str, str] = MappingProxyType(
    {
        "core.hooksPath": "/dev/null",
        "core.fsmonitor": "false",
        "core.quotePath": "false",
        # Milliseconds. Two runs, or a run and a person, may write refs at the same moment.
        "core.filesRefLockTimeout": "10000",
        "core.packedRefsTimeout": "10000",
        "gc.auto": "0",
        "maintenance.auto": "false",
        "protocol.ext.allow": "never",
        "commit.gpgSign": "false",
        "tag.gpgSign": "false",
        "submodule.recurse": "false",
        "advice.detachedHead": "false",
    }
)
SAFE_ENV: Mapping[str, str] = MappingProxyType(
    {
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_EDITOR": "true",
        "GIT_PAGER": "cat",
        # A look at the user's repository must not rewrite its index.
        "GIT_OPTIONAL_LOCKS": "0",
        # An object missing in a partial clone is an error here, not a reason to run the transport its config names.
        "GIT_NO_LAZY_FETCH": "1",
        # Objects are what their ids say, whatever `refs/replace` an agent or a user may have.
        "GIT_NO_REPLACE_OBJECTS": "1",
        # We write and read refs of a fresh worktree as files.
        "GIT_DEFAULT_REF_FORMAT": "files",
    }
)
# These say where git and a person's settings are, never which repository to act on.
KEPT_VARIABLES = frozenset({"GIT_EXEC_PATH", "GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM"})


@dataclass(frozen=True)
class GitResult:
    """What a git command returned; `stdout` is exact bytes."""

    status: int
    stdout: bytes
    stderr: str

    @property
    def text(self) -> str:
        """The output as text without its last line end: an object id, a ref name, a path."""
        return os.fsdecode(self.stdout).removesuffix("\n")

    @property
    def fields(self) -> tuple[str, ...]:
        """The NUL-terminated fields of a `-z` output; bytes that are not UTF-8 survive as surrogate escapes."""
        return tuple(os.fsdecode(field) for field in self.stdout.split(b"\0") if field)


def git(
    arguments: Sequence[str],
    *,
    git_dir: Path | None,
    work_tree: Path | None = None,
    index: Path | None = None,
    config: Mapping[str, str] = NOTHING,
    env: Mapping[str, str] = NOTHING,
    stdin: bytes = b"",
    accept: frozenset[int] = frozenset({0}),
) -> GitResult:
    """Run one git command to its end.

    `git_dir=None` is for commands that have no repository yet (`clone`) or look for one (`-C path rev-parse`). A status
    outside `accept` raises `GitFailedError`.
    """
    check_git()
    carrier = _carrier()
    argv = ["git"]
    for key, value in {**SAFE_CONFIG, **config}.items():
        argv += ["-c", f"{key}={value}"]
    if git_dir is not None:
        argv.append(f"--git-dir={git_dir}")
    if work_tree is not None:
        argv.append(f"--work-tree={work_tree}")
    argv += arguments
    given = {**SAFE_ENV, **env}
    if index is not None:
        given["GIT_INDEX_FILE"] = str(index)
    inherited = sorted(
        name for name in os.environ if name.startswith("GIT_") and name not in given and name not in KEPT_VARIABLES
    )
    if inherited:  # GitPython hands on the whole environment and can only add to it
        argv = ["env", *(word for name in inherited for word in ("-u", name)), *argv]
    with _input_file(stdin) as istream:
        status, stdout, stderr = carrier(work_tree or git_dir or Path("/")).execute(
            argv,
            istream=istream,
            env=given,
            with_extended_output=True,
            with_exceptions=False,
            stdout_as_string=False,
            strip_newline_in_stdout=False,
            start_new_session=True,
        )
    if status not in accept:
        raise GitFailedError(tuple(arguments), status, stderr)
    return GitResult(status, stdout, stderr)


async def git_async(
    arguments: Sequence[str],
    *,
    git_dir: Path | None,
    work_tree: Path | None = None,
    index: Path | None = None,
    config: Mapping[str, str] = NOTHING,
    env: Mapping[str, str] = NOTHING,
    stdin: bytes = b"",
    accept: frozenset[int] = frozenset({0}),
) -> GitResult:
    """Run one git command in a thread. A cancellation waits for the command: no git is ever killed half-way."""
    call = partial(
        git,
        arguments,
        git_dir=git_dir,
        work_tree=work_tree,
        index=index,
        config=config,
        env=env,
        stdin=stdin,
        accept=accept,
    )
    return await anyio.to_thread.run_sync(call)


@functools.cache
def check_git() -> str:
    """The version of the git on PATH, such as `2.39.5`; `GitMissingError` when there is none or it is too old."""
    wanted = ".".join(map(str, LEAST_VERSION))
    path = shutil.which("git")
    if path is None:
        raise GitMissingError(f"git is not on PATH: install git {wanted} or later")
    answer = _carrier()("/").execute([path, "version"])
    found = re.search(r"(\d+)\.(\d+)[.\w]*", answer)
    if found is None or (int(found[1]), int(found[2])) < LEAST_VERSION:
        raise GitMissingError(f"{path} answers {answer!r}: graftline needs git {wanted} or later")
    return found[0]


def _carrier() -> "type[Git]":
    # Late, because importing GitPython runs git, takes 200 ms and fails where there is no git.
    try:
        from git import Git  # noqa: PLC0415 (see above)
    except ImportError as error:
        raise GitMissingError(f"git does not run: {error}") from error
    return Git


@contextmanager
def _input_file(content: bytes) -> Iterator[BinaryIO | None]:
    if not content:
        yield None
        return
    with tempfile.TemporaryFile() as file:  # a file, not a pipe: git may stop reading early
        file.write(content)
        file.seek(0)
        yield file
