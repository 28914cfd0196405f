"""The user's repository, inspected: what it is, which commit a run starts from, and what we could not do right in it.

Nothing here writes: `git status` runs without optional locks, so even the index keeps its bytes.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from graftline.errors import GitFailedError, RepositoryError
from graftline.git.command import git

UNFINISHED = {
    "MERGE_HEAD": "merge",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "BISECT_LOG": "bisect",
}
GITLINK = b"160000"
NO_MATCH = frozenset({0, 1})


@dataclass(frozen=True)
class Repository:
    """A repository with a checkout: top of the work tree, its git directory and the real common one."""

    path: Path
    git_dir: Path
    common_dir: Path


@dataclass(frozen=True)
class Target:
    """The branch a run lands on, and the commit it was at."""

    branch: str
    commit: str


def open_repository(path: Path) -> Repository:
    """The repository that `path` lies in; `RepositoryError` says why it cannot be used."""
    if not path.is_dir():
        raise RepositoryError(f"{path} is not a folder: name the folder of a git repository")
    here = path.resolve()
    asked = ("--is-bare-repository", "--is-inside-work-tree", "--absolute-git-dir", "--git-common-dir")
    try:
        answer = git(["-C", str(here), "rev-parse", "--path-format=absolute", *asked], git_dir=None).text
        bare, inside, git_dir, common_dir = answer.split("\n")
    except GitFailedError as error:
        raise _unusable(path, error) from error
    except ValueError as error:
        raise RepositoryError(f"{path}: the path of the git directory holds a line break: rename the folder") from error
    if inside != "true":
        raise RepositoryError(
            f"{path} is a bare repository: run graftline in a clone of it that has files"
            if bare == "true"
            else f"{path} lies inside a .git folder: run graftline in the folder that holds the files"
        )
    top = git(["-C", str(here), "rev-parse", "--show-toplevel"], git_dir=None).text
    repository = Repository(Path(top), Path(git_dir), Path(common_dir).resolve())
    has_commit = git(["rev-parse", "--verify", "--quiet", "HEAD^{commit}"], git_dir=repository.git_dir, accept=NO_MATCH)
    if has_commit.status and not git(["for-each-ref", "--count=1", "refs/heads"], git_dir=repository.git_dir).text:
        raise RepositoryError(f"{top} has no commit yet: make a first one (git commit), then run graftline")
    return repository


def _unusable(path: Path, error: GitFailedError) -> RepositoryError:
    if "dubious ownership" in error.stderr:
        return RepositoryError(
            f"{path} belongs to another user, so git refuses to read it: if you trust it, run "
            f"git config --global --add safe.directory {path.resolve()}"
        )
    if "not a git repository" in error.stderr:
        return RepositoryError(f"{path} is not in a git repository: run git init there, or name another folder")
    return RepositoryError(f"git cannot read the repository at {path}: {error.stderr.strip()}")


def unfinished_operation(git_dir: Path) -> str | None:
    """The merge, rebase or the like that was begun in a checkout and not ended; None when there is none."""
    return next((name for marker, name in UNFINISHED.items() if (git_dir / marker).exists()), None)


def resolve_target(repository: Repository, branch: str | None) -> Target:
    """The branch a run lands on (the current one when `branch` is None) and its tip, fit to start from."""
    unfinished = unfinished_operation(repository.git_dir)
    if unfinished is not None:
        raise RepositoryError(f"{repository.path} has an unfinished {unfinished}: finish or abort it first")
    if branch is None:
        head = git(["symbolic-ref", "--quiet", "HEAD"], git_dir=repository.git_dir, accept=NO_MATCH)
        if head.status:
            raise RepositoryError(
                f"HEAD of {repository.path} is detached, so no branch would receive the result: "
                "name one with --target BRANCH"
            )
        branch = head.text.removeprefix("refs/heads/")
    commit = branch_tip(repository, branch)
    if commit is None:
        raise RepositoryError(_unknown_branch(repository, branch))
    _require_objects(repository, branch, commit)
    return Target(branch, commit)


def branch_tip(repository: Repository, branch: str) -> str | None:
    """The commit a local branch points at, or None when there is no such branch."""
    ref = f"refs/heads/{branch}"
    shown = git(["show-ref", "--verify", "--quiet", "--hash", ref], git_dir=repository.git_dir, accept=NO_MATCH)
    if shown.status:
        return None
    return git(["rev-parse", "--verify", f"{ref}^{{commit}}"], git_dir=repository.git_dir).text


def _unknown_branch(repository: Repository, branch: str) -> str:
    names = git(["for-each-ref", "--format=%(refname)", "refs/remotes"], git_dir=repository.git_dir).text.splitlines()
    for name in names:
        remote, _, rest = name.removeprefix("refs/remotes/").partition("/")
        if rest == branch:
            return (
                f"{repository.path} has branch {branch!r} only on remote {remote!r}: "
                f"make it local with git branch {branch} {remote}/{branch}"
            )
    return f"{repository.path} has no branch {branch!r}: create it, or name another with --target"


def _require_objects(repository: Repository, branch: str, commit: str) -> None:
    # Only these two kinds of repository lack objects rightfully; a walk of a complete one would cost for nothing.
    shallow = (repository.common_dir / "shallow").exists()
    partial = git(
        ["config", "--get-regexp", r"^(extensions\.partialclone|remote\..*\.promisor)$"],
        git_dir=repository.git_dir,
        accept=NO_MATCH,
    ).text
    if not shallow and not partial:
        return
    # The history of a partial clone must be whole too, since the hub takes it over; a shallow one ends by design.
    scope = [] if partial else ["--no-walk"]
    walked = git(
        ["rev-list", "--objects", "--missing=print", *scope, commit],
        git_dir=repository.git_dir,
        accept=frozenset({0, 128}),
    )
    missing = sum(line.startswith(b"?") for line in walked.stdout.splitlines())
    if missing or walked.status:
        kind, remedy = (
            ("a partial clone", "clone it again without --filter")
            if partial
            else ("a shallow clone", "complete it with git fetch --unshallow")
        )
        raise RepositoryError(
            f"{repository.path} is {kind} and {missing or 'some'} objects of branch {branch!r} are missing: {remedy}"
        )


def uncommitted_changes(repository: Repository) -> tuple[str, ...]:
    """Paths that differ from the last commit or are untracked (not ignored): agents will not see these changes."""
    status = git(
        ["status", "--porcelain=v1", "-z", "--no-renames", "--ignore-submodules=dirty"],
        git_dir=repository.git_dir,
        work_tree=repository.path,
    )
    return tuple(field[3:] for field in status.fields)


def check_features(repository: Repository, commit: str) -> tuple[str, ...]:
    """Notes on what this repository uses and worktrees treat differently; `RepositoryError` for what would go wrong."""
    listing = git(["ls-tree", "-r", "-z", commit], git_dir=repository.git_dir).stdout
    entries = [entry.partition(b"\t") for entry in listing.split(b"\0") if entry]
    notes = []
    submodules = sum(head.startswith(GITLINK) for head, _, _ in entries)
    if submodules:
        notes.append(
            f"{submodules} submodule{'s' if submodules > 1 else ''}: empty folders in worktrees, landed unchanged"
        )
    blobs = [head.split(b" ")[2].decode() for head, _, path in entries if path.rpartition(b"/")[2] == b".gitattributes"]
    private = repository.common_dir / "info" / "attributes"
    texts = [git(["cat-file", "blob", blob], git_dir=repository.git_dir).stdout for blob in blobs]
    texts += [private.read_bytes()] if private.is_file() else []
    filters = {
        name.decode() for text in texts for name in re.findall(rb"^\s*[^#\s].*\sfilter=(\S+)", text, re.MULTILINE)
    }
    for name in sorted(filters):
        notes += _filter_note(repository, name)
    return tuple(notes)


def _filter_note(repository: Repository, name: str) -> list[str]:
    """What to say of a filter that attributes name: nothing when this machine has not configured it."""
    if name == "lfs":
        raise RepositoryError(
            f"{repository.path} keeps files in Git LFS, which worktrees cannot fill yet: agents would edit pointers"
        )
    configured = git(
        ["config", "--get-regexp", rf"^filter\.{re.escape(name)}\."], git_dir=repository.git_dir, accept=NO_MATCH
    ).text
    if not configured:
        return []
    required = f"filter.{name}.required"
    if git(["config", "--type=bool", required], git_dir=repository.git_dir, accept=NO_MATCH).text == "true":
        raise RepositoryError(
            f"{repository.path} requires the content filter {name!r} ({required}), and graftline runs no filters of "
            "yours on agents' files: their new files would be stored unfiltered"
        )
    return [f"content filter {name!r} is not run in worktrees: files of agents are stored as they wrote them"]


def list_files(repository: Repository, commit: str) -> tuple[tuple[str, ...], int]:
    """The files of a commit, and the bytes they take together; what a submodule holds is not counted."""
    listed = git(["ls-tree", "-r", "-l", "-z", "--full-tree", commit], git_dir=repository.git_dir).fields
    entries = [entry.partition("\t") for entry in listed]
    sizes = (about.split()[3] for about, _, _ in entries)
    return tuple(path for _, _, path in entries), sum(int(size) for size in sizes if size.isdecimal())
