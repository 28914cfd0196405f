"""The hub: the private bare repository all runs of one repository share. Only graftline writes to it.

It has no remotes, no `refs/heads` and no alternates, so nothing a person does in the repository (a `gc`, a deleted
branch) takes objects from under a run, and nothing a run does shows there.
"""

import os
import re
import shutil
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import anyio.to_thread

from graftline.errors import GitFailedError
from graftline.file_lock import exclusive_lock
from graftline.git.command import NOTHING, GitResult, git, git_async
from graftline.git.conventions import Conventions, Identity, read_conventions
from graftline.git.repository import Repository

SUCCESS = frozenset({0})
# Our git is the only one that may read these repositories on our behalf; whether the user's is trustworthy was asked
# of the user's own git before.
PRIVATE_CONFIG = "[safe]\n\tdirectory = *\n"


@dataclass(frozen=True)
class Hub:
    """The hub of one repository, with the conventions one run found there.

    `config` is what every command gets by `-c`; `author` and `committer` are who our commits are by.
    """

    git_dir: Path
    config: Mapping[str, str]
    author: Identity
    committer: Identity
    _trees: dict[str, str] = field(default_factory=dict, repr=False, compare=False)

    @property
    def env(self) -> dict[str, str]:
        """The environment that hides the system's and the person's own git configuration."""
        return _isolation(self.git_dir.parent)

    async def run(
        self,
        arguments: Sequence[str],
        *,
        work_tree: Path | None = None,
        index: Path | None = None,
        config: Mapping[str, str] = NOTHING,
        env: Mapping[str, str] = NOTHING,
        stdin: bytes = b"",
        accept: frozenset[int] = SUCCESS,
    ) -> GitResult:
        """Run a git command on the hub, blind to the system's and the person's own configuration."""
        return await git_async(
            arguments,
            git_dir=self.git_dir,
            work_tree=work_tree,
            index=index,
            config={**self.config, **config},
            env={**self.env, **env},
            stdin=stdin,
            accept=accept,
        )

    async def fetch_base(self, repository: Repository, run_id: str, commit: str) -> None:
        """Take a commit of the user's repository over as the base of a run, with the tags that lead to it."""
        async with exclusive_lock(self.git_dir.parent / "hub.lock"):  # two fetches of one new tag would collide
            # The base of a shallow clone brings its border along; nobody else may move the hub's.
            await self.fetch(repository.common_dir, f"{commit}:refs/graftline/{run_id}/base", "--update-shallow")

    async def fetch_branch(self, repository: Repository, branch: str, ref: str) -> str:
        """Take over where a branch of the user's repository is now, onto a ref of ours; its commit."""
        async with exclusive_lock(self.git_dir.parent / "hub.lock"):
            await self.fetch(repository.common_dir, f"+refs/heads/{branch}:{ref}", "--update-shallow")
        return (await self.run(["rev-parse", "--verify", ref])).text

    async def fetch(self, source: Path, refspec: str, *options: str, config: Mapping[str, str] = NOTHING) -> None:
        """Fetch objects from another repository on this machine; nothing is recorded but what `refspec` says."""
        # Nothing negotiates but files: whatever the other side's configuration says, no transport command is run.
        config = {"protocol.allow": "never", "protocol.file.allow": "always", **config}
        fixed = ["--quiet", "--no-write-fetch-head", "--no-recurse-submodules", "--no-auto-gc"]
        await self.run(["fetch", *fixed, *options, str(source), refspec], config=config)

    async def create_ref(self, ref: str, commit: str) -> bool:
        """Create a ref; False when it is there already, whatever it points at."""
        try:
            await self.run(["update-ref", _argument(ref), _argument(commit), "0" * len(commit)])
        except GitFailedError:
            if await self.resolve(ref) is None:
                raise
            return False
        return True

    async def add_ref(self, ref: str, commit: str) -> str:
        """Keep a commit on a ref that nothing else is kept on: this one or, when it is taken, with a number added."""
        name, number = ref, 1
        while not await self.create_ref(name, commit) and await self.resolve(name) != commit:
            number += 1
            name = f"{ref}-{number}"
        return name

    async def update_ref(self, ref: str, commit: str, old: str | None = None) -> None:
        """Point a ref at a commit; with `old`, only when it points there now (else `GitFailedError`)."""
        await self.run(["update-ref", _argument(ref), _argument(commit), *([old] if old is not None else [])])

    async def delete_ref(self, ref: str) -> None:
        """Delete a ref; one that is not there is fine."""
        await self.run(["update-ref", "-d", _argument(ref)])

    async def delete_refs(self, refs: Mapping[str, str]) -> None:
        """Delete refs that still are at the given commits, all of them or none."""
        if refs:
            commands = "".join(f"delete {ref}\0{commit}\0" for ref, commit in refs.items())
            await self.run(["update-ref", "-z", "--stdin"], stdin=os.fsencode(commands))

    async def refs(self, prefix: str) -> dict[str, str]:
        """The refs at or below a path such as `refs/graftline/<run>`, each with what it points at, sorted by name."""
        listed = await self.run(["for-each-ref", "--format=%(refname) %(objectname)", _argument(prefix)])
        return dict(line.split(" ", 1) for line in listed.text.splitlines())

    async def resolve(self, revision: str) -> str | None:
        """The commit a revision names, or None."""
        argument = f"{_argument(revision)}^{{commit}}"
        found = await self.run(["rev-parse", "--verify", "--quiet", argument], accept=frozenset({0, 1, 128}))
        return found.text or None

    async def tree_of(self, commit: str) -> str:
        """The tree of a commit; asked of git once for each full commit id, whose tree can never be another."""
        if commit not in self._trees:
            tree = (await self.run(["rev-parse", "--verify", f"{_argument(commit)}^{{tree}}"])).text
            if len(commit) != len(tree):  # not a full id, so it may name another commit tomorrow
                return tree
            self._trees[commit] = tree
        return self._trees[commit]

    async def trees_of(self, commits: Iterable[str]) -> dict[str, str]:
        """The trees of those of the commits that are there."""
        asked = list(dict.fromkeys(commits))
        if not asked:
            return {}
        lines = "".join(f"{commit}^{{tree}}\n" for commit in asked)
        told = (await self.run(["cat-file", "--batch-check=%(objectname)"], stdin=lines.encode())).text.splitlines()
        return {commit: tree for commit, tree in zip(asked, told, strict=True) if " " not in tree}

    async def changed_paths(self, old: str, new: str) -> tuple[str, ...]:
        """Paths that differ between two commits or trees; a rename is two paths."""
        arguments = ["diff-tree", "-r", "-z", "--name-only", "--no-renames", _argument(old), _argument(new)]
        return (await self.run(arguments)).fields

    async def ignored_paths(self, paths: Iterable[str], work_tree: Path) -> frozenset[str]:
        """Those of some paths that would not be kept in a work tree: by the rules in it, the person's own, and ours."""
        # Of what leads through a link git says nothing more than that it does.
        asked = [path for path in paths if not any((work_tree / above).is_symlink() for above in Path(path).parents)]
        found = await self.run(
            ["check-ignore", "--no-index", "-z", "--stdin"],
            work_tree=work_tree,
            stdin=b"".join(b"./" + os.fsencode(path) + b"\0" for path in asked),  # with that, none has any magic
            accept=frozenset({0, 1}),
        )
        return frozenset(path.removeprefix("./") for path in found.fields)

    async def diff(self, old: str, new: str, *, color: bool = False) -> bytes:
        """The difference between two commits, for people; no command of a configuration or an attribute is run."""
        painted = "--color=always" if color else "--no-color"
        arguments = ["diff", "--no-ext-diff", "--no-textconv", painted, _argument(old), _argument(new), "--"]
        return (await self.run(arguments)).stdout

    async def diff_stat(self, old: str, new: str) -> str:
        """The paths that differ between two commits, a line each with how much of them, at most a hundred."""
        arguments = ["diff", "--no-ext-diff", "--no-textconv", "--stat=100", "--stat-count=100"]
        return (await self.run([*arguments, _argument(old), _argument(new), "--"])).text

    async def is_ancestor(self, ancestor: str, commit: str) -> bool:
        """Whether a commit is contained in another (or is it)."""
        arguments = ["merge-base", "--is-ancestor", _argument(ancestor), _argument(commit)]
        return (await self.run(arguments, accept=frozenset({0, 1}))).status == 0

    async def commit_tree(
        self, tree: str, parents: Sequence[str], message: str, trailers: Mapping[str, str], *, date: str | None = None
    ) -> str:
        """Commit a tree in the user's name. With `date` (`@SECONDS ZONE`) the same input gives the same commit."""
        env = {
            "GIT_AUTHOR_NAME": self.author.name,
            "GIT_AUTHOR_EMAIL": self.author.email,
            "GIT_COMMITTER_NAME": self.committer.name,
            "GIT_COMMITTER_EMAIL": self.committer.email,
        }
        if date is not None:
            env |= {"GIT_AUTHOR_DATE": date, "GIT_COMMITTER_DATE": date}
        options = [option for parent in parents for option in ("-p", _argument(parent))]
        text = commit_message(message, trailers).encode(errors="replace")
        commit = (await self.run(["commit-tree", *options, "-F", "-", _argument(tree)], env=env, stdin=text)).text
        if len(tree) == len(commit):
            self._trees[commit] = tree
        return commit


async def open_hub(repository: Repository, folder: Path) -> Hub:
    """The hub in a repository's state folder, made at the first call; two processes may call at once."""
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    conventions = await anyio.to_thread.run_sync(read_conventions, repository)
    async with exclusive_lock(folder / "hub.lock"):
        await anyio.to_thread.run_sync(_prepare, repository, folder, conventions)
    # Our own files stand in for the person's global ones, which the isolated commands do not see.
    config = {
        **conventions.config,
        "core.excludesFile": str(folder / "ignore"),
        "core.attributesFile": str(folder / "attributes"),
    }
    return Hub(folder / "hub.git", config, conventions.author, conventions.committer)


def find_hub(folder: Path) -> Hub | None:
    """The hub in a repository's state folder as it is, to look at and to tidy; None when there is none."""
    nobody = Identity("nobody", "nobody@graftline.invalid")  # it makes no commits
    return Hub(folder / "hub.git", {}, nobody, nobody) if (folder / "hub.git").is_dir() else None


def commit_message(message: str, trailers: Mapping[str, str]) -> str:
    """A message with trailers below it; control characters, which a title from a plan may hold, are dropped."""
    text = re.sub(r"[\x00-\x08\x0b-\x1f\x7f]", "", message).strip() or "(no title)"
    lines = [f"{key}: {' '.join(value.split())}" for key, value in trailers.items()]
    return "\n".join([text, "", *lines]) + "\n" if lines else text + "\n"


def _prepare(repository: Repository, folder: Path, conventions: Conventions) -> None:
    _write(folder / "gitconfig", PRIVATE_CONFIG)
    hub = folder / "hub.git"
    if not hub.exists():
        unfinished = folder / "hub.git.new"  # left by somebody killed half-way
        shutil.rmtree(unfinished, ignore_errors=True)
        _clone(repository, unfinished)
        unfinished.rename(hub)
    (hub / "info").mkdir(exist_ok=True)
    _write(folder / "ignore", conventions.ignores)
    _write(folder / "attributes", conventions.attributes)
    _write(hub / "info" / "exclude", conventions.private_ignores)
    _write(hub / "info" / "attributes", conventions.private_attributes)


def _clone(repository: Repository, hub: Path) -> None:
    env = _isolation(hub.parent)
    # A path is cloned by hard links. Not `--local`: spelt out, it fails across file systems instead of copying.
    clone = ["clone", "--quiet", "--bare", "--dissociate", "--template="]
    try:
        git([*clone, str(repository.common_dir), str(hub)], git_dir=None, env=env)
    except GitFailedError:  # objects behind a symlink, or packs replaced by a gc meanwhile: let git copy what it needs
        shutil.rmtree(hub, ignore_errors=True)
        git([*clone, "--no-local", str(repository.common_dir), str(hub)], git_dir=None, env=env)
    git(["config", "--remove-section", "remote.origin"], git_dir=hub, env=env)
    git(["symbolic-ref", "HEAD", "refs/heads/none"], git_dir=hub, env=env)
    # Branches become seeds rather than vanish: a fetch then need not walk the whole history to know it is complete.
    heads = git(["for-each-ref", "--format=%(refname) %(objectname)", "refs/heads"], git_dir=hub, env=env).text
    moves = []
    for ref, commit in (line.split(" ") for line in heads.splitlines()):
        moves += [f"create {ref.replace('refs/heads/', 'refs/seed/', 1)}\0{commit}\0", f"delete {ref}\0\0"]
    git(["update-ref", "-z", "--stdin"], git_dir=hub, env=env, stdin=os.fsencode("".join(moves)))
    git(["pack-refs", "--all"], git_dir=hub, env=env)


def _isolation(folder: Path) -> dict[str, str]:
    return {"GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": str(folder / "gitconfig")}


def _write(path: Path, text: str) -> None:
    """Replace a file as a whole, so that a git of another run never reads half of it."""
    content = os.fsencode(text)
    if path.is_file() and path.read_bytes() == content:
        return
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    fresh.write_bytes(content)
    fresh.replace(path)


def _argument(text: str) -> str:
    """A revision or ref for a command line; one that git would take for an option is refused."""
    if text.startswith("-") or not text:
        raise ValueError(f"not a revision: {text!r}")
    return text
