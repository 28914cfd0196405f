"""Worktrees: the working tree of one attempt, a small repository of its own, and how its work is taken from it.

The orchestrator never runs git by an agent's `.git`: checkout and staging go through the hub, with an index kept beside
the worktree. Whatever an agent plants there (hooks, configuration, filters, a swapped `.git`) is never run.
"""

import os
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import anyio.to_thread

from graftline.git.command import git_async
from graftline.git.folders import is_real_folder, remove
from graftline.git.hub import Hub
from graftline.git.includes import copy_included_files
from graftline.git.own_commits import find_own_commits
from graftline.git.repository import Repository
from graftline.git.staging import stage_work


@dataclass(frozen=True)
class Worktree:
    """The working tree of one attempt.

    `index` and `exclude` lie beside it, out of the agent's repository: the index the files were written by, and the
    list (NUL-separated) of the copied files, which are never committed. `copied` names them too, for the log.
    """

    path: Path
    index: Path
    base: str
    exclude: Path
    copied: tuple[str, ...] = ()

    @classmethod
    def at(cls, path: Path, base: str) -> "Worktree":
        """The worktree of a commit at a path, whether or not it is there."""
        return cls(path, path.with_name(f"{path.name}.index"), base, path.with_name(f"{path.name}.exclude"))

    @property
    def is_whole(self) -> bool:
        """Whether it was cut to the end: what lies beside it is written last."""
        return is_real_folder(self.path) and self.exclude.is_file()


@dataclass(frozen=True)
class Work:
    """What an attempt left in its worktree.

    `commit` is None when nothing changed. `left_out` names what ignore rules kept out, whole folders as one entry.
    `own_commits` counts the commits the agent made itself that are kept beneath `commit`. `notes` are for people.
    """

    commit: str | None
    tree: str
    paths: tuple[str, ...]
    left_out: tuple[str, ...]
    own_commits: int
    notes: tuple[str, ...]


async def cut_worktree(
    hub: Hub, commit: str, *, path: Path, branch: str, target: str, repository: Repository, include_file: str
) -> Worktree:
    """Make a worktree of a commit at `path`, which must not exist yet.

    The agent finds a repository without remotes, on a branch of the given name, the target's name at the same commit,
    and copies of the ignored files that the user's include file names.
    """
    worktree = Worktree.at(path, commit)
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    try:
        await _clone(hub, path)
        await anyio.to_thread.run_sync(_furnish, hub, path, commit, branch, target)
        await hub.run(["read-tree", "-m", "-u", commit], work_tree=path, index=worktree.index)
        shutil.copy2(worktree.index, path / ".git" / "index")  # git needs its time stamp too
        copied = await anyio.to_thread.run_sync(copy_included_files, repository, include_file, path)
    except BaseException:
        with anyio.CancelScope(shield=True):
            await remove_worktree(worktree)
        raise
    with (path / ".git" / "info" / "exclude").open("ab") as exclude:
        exclude.writelines(os.fsencode(f"/{_escaped(name)}\n") for name in copied)
    worktree.exclude.write_bytes(b"".join(os.fsencode(name) + b"\0" for name in copied))
    return replace(worktree, copied=copied)


async def collect_work(hub: Hub, worktree: Worktree, *, message: str, trailers: Mapping[str, str]) -> Work:
    """Commit what is in a worktree, on top of the commits the agent made itself when they descend from the base.

    Can be called again: it starts from the index the worktree was cut with. The commit is in the hub but on no ref yet.
    """
    if not is_real_folder(worktree.path):
        note = f"the worktree {worktree.path.name} is gone: there is nothing to commit"
        return Work(None, await hub.tree_of(worktree.base), (), (), 0, (note,))
    staged = await stage_work(hub, worktree.path, index=worktree.index, exclude=worktree.exclude)
    paths = await hub.changed_paths(worktree.base, staged.tree)
    if not paths:
        return Work(None, staged.tree, (), staged.left_out, 0, staged.notes)
    leading_out = await anyio.to_thread.run_sync(_links_leading_out, worktree.path, paths)
    own = await find_own_commits(hub, worktree.path / ".git", worktree.base, staged)
    if own.tree == staged.tree:
        commit = own.head
    else:
        commit = await hub.commit_tree(staged.tree, [own.head], message, trailers)
    return Work(commit, staged.tree, paths, staged.left_out, own.count, (*staged.notes, *leading_out, *own.notes))


async def restore_work(hub: Hub, worktree: Worktree, commit: str) -> None:
    """Put the files of a commit, work that was taken from such a worktree before, into one that was just cut.

    The agent's own index stays at the base: to it, this work is not committed yet.
    """
    merge = ["read-tree", "-m", "-u", worktree.base, commit]
    await hub.run(merge, work_tree=worktree.path, index=worktree.index)


async def remove_worktree(worktree: Worktree) -> None:
    """Delete a worktree and what lies beside it, read-only folders included; one that is gone already is fine."""
    await anyio.to_thread.run_sync(_remove, worktree)


async def _clone(hub: Hub, path: Path) -> None:
    settings = {
        **{key: value for key, value in hub.config.items() if not key.endswith("File")},
        "user.name": hub.author.name,
        "user.email": hub.author.email,
        "gc.auto": "0",  # what it would collect belongs to the hub
        "commit.gpgSign": "false",
    }
    options = [option for key, value in settings.items() for option in ("--config", f"{key}={value}")]
    clone = ["clone", "--quiet", "--shared", "--no-checkout", "--template=", *options]
    await git_async([*clone, str(hub.git_dir), str(path)], git_dir=None, env=hub.env)


def _furnish(hub: Hub, path: Path, commit: str, branch: str, target: str) -> None:
    """Put refs, ignore rules and configuration in place, by hand: it is our repository until an agent starts in it."""
    git_dir = path / ".git"
    config = git_dir / "config"
    config.write_text(_without_remote(config.read_text(errors="surrogateescape")), errors="surrogateescape")
    for old in ("refs/heads", "refs/remotes"):
        shutil.rmtree(git_dir / old, ignore_errors=True)
    while _clash(branch, target):
        branch = f"task-{branch}"
    for name in (branch, target):
        ref = git_dir / "refs" / "heads" / name
        ref.parent.mkdir(parents=True, exist_ok=True)
        ref.write_text(f"{commit}\n")
    (git_dir / "HEAD").write_text(f"ref: refs/heads/{branch}\n")
    (git_dir / "info").mkdir(exist_ok=True)
    rules = [hub.git_dir.parent / "ignore", hub.git_dir / "info" / "exclude"]
    (git_dir / "info" / "exclude").write_bytes(b"".join(rule.read_bytes() for rule in rules))
    shutil.copyfile(hub.git_dir / "info" / "attributes", git_dir / "info" / "attributes")


def _without_remote(config: str) -> str:
    """A fresh configuration file without the sections that lead back to the hub."""
    kept: list[str] = []
    keep = True
    for line in config.splitlines():
        if line.startswith("["):
            keep = not line.startswith(("[remote ", "[branch "))
        if keep:
            kept.append(line)
    return "\n".join(kept) + "\n"


def _clash(branch: str, other: str) -> bool:
    """Whether two branches cannot both exist: the same name in any case, or one a folder of the other."""
    first, second = branch.casefold(), other.casefold()
    return first == second or first.startswith(f"{second}/") or second.startswith(f"{first}/")


def _escaped(path: str) -> str:
    """A path as a pattern of git's ignore format that matches it alone."""
    return "".join(f"\\{character}" if character in "\\*?[ " else character for character in path)


def _links_leading_out(root: Path, paths: tuple[str, ...]) -> tuple[str, ...]:
    """A note for each changed symlink that leads out of the worktree; it is kept as the link it is."""
    notes = []
    for path in paths:
        if (root / path).is_symlink():
            leads_to = os.path.normpath(root / Path(path).parent / (root / path).readlink())
            if not Path(leads_to).is_relative_to(root):
                notes.append(f"{path} is a symlink out of the repository, to {(root / path).readlink()}")
    return tuple(notes)


def _remove(worktree: Worktree) -> None:
    for path in (worktree.path, worktree.index, worktree.exclude):
        remove(path)
