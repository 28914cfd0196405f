"""Brings work from the hub, whose refs git does not show a person, into a branch of the user's repository."""

import anyio.to_thread

from graftline.errors import RepositoryError
from graftline.git.command import git
from graftline.git.hub import Hub
from graftline.git.landing import check_result_branch
from graftline.git.repository import Repository, branch_tip


async def take_branch(repository: Repository, hub: Hub, *, commit: str, branch: str) -> None:
    """Make a branch at a commit of the hub; nothing is checked out.

    Raises:
        RepositoryError: the branch exists, or another branch or folder of refs is in its way.
    """
    try:
        await check_result_branch(repository, branch)
    except RepositoryError as error:
        raise RepositoryError(f"a branch {branch!r} cannot be made: name another with --branch ({error})") from error
    await anyio.to_thread.run_sync(_fetch, repository, hub, commit, branch)


def _fetch(repository: Repository, hub: Hub, commit: str, branch: str) -> None:
    if branch_tip(repository, branch) is not None:
        raise RepositoryError(f"{repository.path} has a branch {branch!r} already: name another with --branch")
    fixed = ["--quiet", "--no-write-fetch-head", "--no-tags", "--no-recurse-submodules", "--no-auto-gc"]
    git(
        ["fetch", *fixed, str(hub.git_dir), f"{commit}:refs/heads/{branch}"],
        git_dir=repository.git_dir,
        config={"protocol.file.allow": "always"},
    )
