"""Where a branch of the user's repository is checked out, and whether that checkout can take a new commit."""

from dataclasses import dataclass
from pathlib import Path

from graftline.errors import GitFailedError
from graftline.git.command import git
from graftline.git.repository import Repository, unfinished_operation


@dataclass(frozen=True)
class Checkout:
    """One work tree of the user's repository that has a branch checked out."""

    path: Path
    git_dir: Path


def find_checkouts(repository: Repository, branch: str) -> tuple[Checkout, ...]:
    """Every work tree that has a branch checked out, also one in which it is being rebased or bisected.

    One whose folder is not there now (an unmounted disk) has `path` as its git directory, and so is never ready.
    """
    listed = git(["worktree", "list", "--porcelain", "-z"], git_dir=repository.git_dir).stdout.decode(
        errors="surrogateescape"
    )
    found = []
    for record in listed.split("\0\0"):
        lines = record.split("\0")
        path = Path(lines[0].removeprefix("worktree "))
        if not lines[0] or "bare" in lines:
            continue
        git_dir = _git_dir(path)
        if f"branch refs/heads/{branch}" in lines or _is_under_way(git_dir, branch):
            found.append(Checkout(path, git_dir))
    return tuple(found)


def _git_dir(path: Path) -> Path:
    try:
        return Path(git(["-C", str(path), "rev-parse", "--absolute-git-dir"], git_dir=None).text)
    except GitFailedError:
        return path


def _is_under_way(git_dir: Path, branch: str) -> bool:
    for marker in ("rebase-merge/head-name", "rebase-apply/head-name", "BISECT_START"):
        try:
            name = (git_dir / marker).read_text(errors="surrogateescape").strip()
        except OSError:
            continue
        if name.removeprefix("refs/heads/") == branch:
            return True
    return False


def hindrance(checkout: Checkout, branch: str, commit: str) -> str:
    """Why a checkout cannot be moved on from a commit right now; empty when it can."""
    if checkout.git_dir == checkout.path:
        return f"its checkout {checkout.path} cannot be read"
    unfinished = unfinished_operation(checkout.git_dir)
    if unfinished is not None:
        return f"{checkout.path} has an unfinished {unfinished}"
    if checked_out(checkout) != (f"refs/heads/{branch}", commit):
        return f"{checkout.path} is no longer on branch {branch} as it was"
    changed = git(
        ["status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=no", "--ignore-submodules=all"],
        git_dir=checkout.git_dir,
        work_tree=checkout.path,
    ).fields
    if changed:
        more = f" and {len(changed) - 1} more" if len(changed) > 1 else ""
        return f"{checkout.path} has uncommitted changes ({changed[0][3:]}{more})"
    return ""


def checked_out(checkout: Checkout) -> tuple[str, str]:
    """The ref HEAD names (empty when detached) and the commit it is at."""
    quiet = frozenset({0, 1})
    ref = git(["symbolic-ref", "--quiet", "HEAD"], git_dir=checkout.git_dir, accept=quiet).text
    commit = git(["rev-parse", "--verify", "--quiet", "HEAD"], git_dir=checkout.git_dir, accept=quiet).text
    return ref, commit
