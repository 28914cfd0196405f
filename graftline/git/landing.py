"""Landing: moves the target branch to a verified commit, or leaves the result on a branch of its own.

The only writes graftline makes in the user's repository. On any doubt nothing is moved: the result waits on its branch
and the caller gets the exact command that takes it.
"""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import anyio.to_thread

from graftline.errors import GitFailedError, RepositoryError
from graftline.file_lock import exclusive_lock
from graftline.git.checkouts import Checkout, checked_out, find_checkouts, hindrance
from graftline.git.command import git
from graftline.git.hub import Hub
from graftline.git.repository import Repository, Target, branch_tip

# Which commit we left on which result branch; beside, not among, the refs of the runs.
RESULTS = "refs/results"
NO_MATCH = frozenset({0, 1})


@dataclass(frozen=True)
class LandingResult:
    """What became of a verified commit.

    `branch` is the result branch, when one was left, and `command` what takes it (empty when landed). `moved` means
    that the target has moved meanwhile and nothing was done: the merge must be redone onto it and verified again.
    """

    landed: bool
    commit: str
    branch: str | None
    message: str
    command: str
    moved: bool


async def land(
    repository: Repository,
    hub: Hub,
    *,
    target: Target,
    commit: str,
    mode: Literal["auto", "branch"],
    result_branch: str,
    confirm: Callable[[], None] = lambda: None,
) -> LandingResult:
    """Move the target from where the run found it to `commit`, files and index of its checkout included.

    Only ever a fast-forward, and only when the checkout has no change to tracked files and nothing in the way. With
    mode `branch`, or on any doubt, the result branch is left instead. Can be called again, with the same or a later
    commit. `confirm` is called once nobody else can land, and keeps from landing by raising.
    """
    landing = _Landing(repository, hub, target, commit, result_branch)
    async with exclusive_lock(hub.git_dir.parent / "landing.lock"):
        confirm()
        return await anyio.to_thread.run_sync(landing.land, mode)  # in one thread: a cancellation waits for its end


async def forget_results(repository: Repository, hub: Hub) -> None:
    """Forget where we put result branches that are gone from the user's repository."""
    async with exclusive_lock(hub.git_dir.parent / "landing.lock"):  # a landing notes the branch before it makes it
        results = await hub.refs(RESULTS)
        gone = {
            ref: commit
            for ref, commit in results.items()
            if await anyio.to_thread.run_sync(branch_tip, repository, ref.removeprefix(f"{RESULTS}/")) is None
        }
        await hub.delete_refs(gone)


async def check_result_branch(repository: Repository, branch: str, hub: Hub | None = None) -> None:
    """Make sure that a result branch can be made: `RepositoryError` when its name is unfit or a branch is in the way.

    With `hub`, a branch that a run left there and nobody moved since is not in the way.
    """
    ours = await hub.resolve(f"{RESULTS}/{branch}") if hub is not None else None
    await anyio.to_thread.run_sync(_check_result_branch, repository, branch, ours)


def _check_result_branch(repository: Repository, branch: str, ours: str | None) -> None:
    ref = f"refs/heads/{branch}"
    well_formed = git(["check-ref-format", ref], git_dir=repository.git_dir, accept=NO_MATCH)
    if well_formed.status or branch.startswith("-"):
        raise RepositoryError(f"{branch!r} is not a branch name git accepts: change [git] branch_prefix")
    listed = git(["for-each-ref", "--format=%(refname)", "refs/heads"], git_dir=repository.git_dir).text.splitlines()
    for name in listed:
        # In any case: on some file systems two branches that differ by case are one file.
        there, wanted = name.casefold(), ref.casefold()
        if there == wanted and (name != ref or ours is None or branch_tip(repository, branch) != ours):
            problem = "exists already"
        elif wanted.startswith(f"{there}/") or there.startswith(f"{wanted}/"):
            problem = "cannot exist beside it"
        else:
            continue
        raise RepositoryError(
            f"branch {name.removeprefix('refs/heads/')!r} of {repository.path} is in the way of the result branch "
            f"{branch!r} ({problem}): rename it, or change [git] branch_prefix"
        )


@dataclass(frozen=True)
class _Landing:
    """One landing, under the lock."""

    repository: Repository
    hub: Hub
    target: Target
    commit: str
    result_branch: str

    def land(self, mode: Literal["auto", "branch"]) -> LandingResult:
        self._fetch()
        tip = branch_tip(self.repository, self.target.branch)
        if tip is not None and self._contains(tip, self.commit):
            return self._landed(f"{self.target.branch} contains {self.commit[:12]} already")
        if mode == "branch":
            return self._leave(f"{self.target.branch} was not to be moved")
        if tip is None:
            return self._leave(f"branch {self.target.branch} is gone")
        return self._advance(tip)

    def _advance(self, tip: str) -> LandingResult:
        if tip != self.target.commit:
            return self._moved()
        if not self._contains(self.commit, tip):
            return self._leave(f"{self.commit[:12]} does not descend from {self.target.branch}")
        checkouts = find_checkouts(self.repository, self.target.branch)
        if len(checkouts) > 1:
            return self._leave(f"{self.target.branch} is checked out in {len(checkouts)} places")
        return self._advance_checkout(checkouts[0]) if checkouts else self._advance_ref()

    def _fetch(self) -> None:
        """Bring the objects over; no ref and no FETCH_HEAD changes."""
        fixed = ["--quiet", "--no-tags", "--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-gc"]
        config = {"protocol.file.allow": "always", "fetch.prune": "false"}
        git(["fetch", *fixed, str(self.hub.git_dir), self.commit], git_dir=self.repository.git_dir, config=config)

    def _contains(self, commit: str, ancestor: str) -> bool:
        arguments = ["merge-base", "--is-ancestor", ancestor, commit]
        return git(arguments, git_dir=self.repository.git_dir, accept=NO_MATCH).status == 0

    def _advance_ref(self) -> LandingResult:
        ref = f"refs/heads/{self.target.branch}"
        arguments = ["update-ref", "-m", "graftline: land", ref, self.commit, self.target.commit]
        try:
            git(arguments, git_dir=self.repository.git_dir)
        except GitFailedError as error:
            if branch_tip(self.repository, self.target.branch) != self.target.commit:
                return self._moved()
            return self._leave(f"git refused to move {self.target.branch} ({error.stderr.strip()})")
        return self._landed(f"{self.target.branch} is now at {self.commit[:12]}")

    def _advance_checkout(self, checkout: Checkout) -> LandingResult:
        # Asked right before the move: minutes may have passed since the run looked at this checkout first.
        reason = hindrance(checkout, self.target.branch, self.target.commit)
        if reason:
            return self._leave(reason)
        # Unlike git's default, an ignored file in the way is not overwritten either.
        merged = git(
            ["merge", "--ff-only", "--no-overwrite-ignore", "--no-autostash", "--quiet", self.commit],
            git_dir=checkout.git_dir,
            work_tree=checkout.path,
            accept=frozenset({0, 1, 128}),
        )
        tip = branch_tip(self.repository, self.target.branch)
        if merged.status:
            if tip != self.target.commit:
                return self._moved()
            return self._leave(f"git refused ({' '.join(merged.stderr.split())})")
        if tip != self.commit or checked_out(checkout) != (f"refs/heads/{self.target.branch}", self.commit):
            return self._leave(f"somebody else moved {self.target.branch} or its checkout at the same moment")
        left = hindrance(checkout, self.target.branch, self.commit)
        warning = f", but look at it: {left}" if left else ""
        return self._landed(f"{self.target.branch} in {checkout.path} is now at {self.commit[:12]}{warning}")

    def _moved(self) -> LandingResult:
        message = f"{self.target.branch} has moved since {self.target.commit[:12]}"
        return LandingResult(False, self.commit, None, message, "", True)

    def _landed(self, message: str) -> LandingResult:
        self._remove_result_branch()
        return LandingResult(True, self.commit, None, message, "", False)

    def _leave(self, reason: str) -> LandingResult:
        """Put the commit on the result branch; where a person took the name meanwhile, on the next free one."""
        branch, number = self.result_branch, 1
        while not self._put(branch):
            number += 1
            branch = f"{self.result_branch}-{number}"
        message = f"the result is on branch {branch}: {reason}"
        return LandingResult(False, self.commit, branch, message, self._command(branch), False)

    def _put(self, branch: str) -> bool:
        tip = branch_tip(self.repository, branch)
        if tip == self.commit:
            return True
        if tip is not None and (tip != self._recorded(branch) or find_checkouts(self.repository, branch)):
            return False
        old = tip or "0" * len(self.commit)
        # Before the branch: after a kill in between, a branch of ours must never pass for a person's.
        git(["update-ref", f"{RESULTS}/{branch}", self.commit], git_dir=self.hub.git_dir, env=self.hub.env)
        arguments = ["update-ref", "-m", "graftline: result", f"refs/heads/{branch}", self.commit, old]
        try:
            git(arguments, git_dir=self.repository.git_dir)
        except GitFailedError:
            if branch_tip(self.repository, branch) is None:  # not taken by anybody: the repository itself refuses
                raise
            return False
        return True

    def _recorded(self, branch: str) -> str | None:
        """Where we put a result branch, if it is one of ours."""
        arguments = ["rev-parse", "--verify", "--quiet", f"{RESULTS}/{branch}"]
        return git(arguments, git_dir=self.hub.git_dir, env=self.hub.env, accept=NO_MATCH).text or None

    def _remove_result_branch(self) -> None:
        """Remove the branch an earlier call left, if it still is where we put it and nobody works on it."""
        recorded = self._recorded(self.result_branch)
        if recorded is None or find_checkouts(self.repository, self.result_branch):
            return
        if branch_tip(self.repository, self.result_branch) == recorded:
            ref = f"refs/heads/{self.result_branch}"
            git(["update-ref", "-d", ref, recorded], git_dir=self.repository.git_dir)
        git(["update-ref", "-d", f"{RESULTS}/{self.result_branch}"], git_dir=self.hub.git_dir, env=self.hub.env)

    def _command(self, branch: str) -> str:
        """What a person types to take the result."""
        checkouts = find_checkouts(self.repository, self.target.branch)
        tip = branch_tip(self.repository, self.target.branch)
        place = shlex.quote(str(checkouts[0].path if checkouts else self.repository.path))
        name, into = shlex.quote(branch), shlex.quote(self.target.branch)
        straight = tip is None or self._contains(self.commit, tip)
        if checkouts:
            return f"git -C {place} merge {'--ff-only ' if straight else ''}{name}"
        if straight:
            return f"git -C {place} fetch . {shlex.quote(f'{branch}:{self.target.branch}')}"
        return f"git -C {place} switch {into} && git -C {place} merge {name}"
