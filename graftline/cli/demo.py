"""`graftline demo`: the real pipeline on a throwaway repository, with a scripted agent instead of a paid one."""

import json
import shlex
import sys
import tempfile
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from graftline.cli.console import stderr_console
from graftline.cli.run import run_request
from graftline.errors import UserError
from graftline.git.command import check_git, git
from graftline.request import BuildRequest

SETTINGS = """\
# The scripted agent of `graftline demo`: `--backend claude-code` goes before it.
[agent]
backend = "scripted"

[agents.scripted]
type = "command"
command = {command}
cost_usd = 0.0

[test]
python = {python}
"""


def demo(folder: Path | None = None, /, *, keep_server: Annotated[bool, Parameter(negative=())] = False) -> int:
    """Run a 5-task plan with a scripted agent through the real pipeline: no key, no agent CLI, no server of yours.

    Parameters
    ----------
    folder
        Where to make the repository; a new temporary folder when left out.
    keep_server
        Leave graftline's own Prefect server running afterwards.
    """
    repository = make_repository(folder)
    say = stderr_console().say
    say(
        f"A throwaway repository: {repository}\n"
        "This is the real pipeline (Prefect flow, git worktrees, merge, tests, healing, landing) with a scripted\n"
        "agent: it writes what a script says, thinks nothing and costs nothing.\n"
    )
    code = run_request(BuildRequest(repository=str(repository), plan_file="plan.md"), keep_server=keep_server)
    place = shlex.quote(str(repository))
    say(
        f"\nLook at the result:        cd {place} && git log --graph --oneline --stat\n"
        f"Try it with a real agent:  cd {place} && git reset --hard start && "
        "graftline run plan.md --backend claude-code"
    )
    return code


def make_repository(folder: Path | None) -> Path:
    """A new repository with the demo's package, plan and settings, all committed and tagged `start`.

    Raises:
        UserError: the folder is a file, or is not empty.
    """
    if folder is not None and folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UserError(f"{folder} is not an empty folder: name a new one")
    check_git()
    repository = (folder or Path(tempfile.mkdtemp(prefix="graftline-demo-"))).resolve()
    agent = repository / ".demo"
    shipped = files("graftline.demo")
    copy_files(shipped / "project", repository)
    agent.mkdir()
    for name, target in (("plan.md", repository), ("agent.py", agent), ("script.yaml", agent)):
        (target / name).write_bytes((shipped / name).read_bytes())
    command = [sys.executable, str(agent / "agent.py"), str(agent / "script.yaml")]
    settings = SETTINGS.format(command=json.dumps(command), python=json.dumps(sys.executable))
    (repository / "graftline.toml").write_text(settings, encoding="utf-8")
    (repository / ".gitignore").write_text("__pycache__/\n.demo/\n", encoding="utf-8")
    identity = {
        f"GIT_{who}_{what}": value
        for who in ("AUTHOR", "COMMITTER")
        for what, value in (("NAME", "graftline demo"), ("EMAIL", "demo@localhost"))
    }
    git(["init", "-q", "-b", "main", str(repository)], git_dir=None)
    for arguments in (["add", "-A"], ["commit", "-qm", "Start"], ["tag", "start"]):
        git(arguments, git_dir=repository / ".git", work_tree=repository, env=identity)
    return repository


def copy_files(source: Traversable, target: Path) -> None:
    """Copy a folder's files, and not their modes: graftline may be installed where nobody may write."""
    target.mkdir(parents=True, exist_ok=True)
    for entry in source.iterdir():
        if entry.name == "__pycache__":
            continue
        if entry.is_dir():
            copy_files(entry, target / entry.name)
        else:
            (target / entry.name).write_bytes(entry.read_bytes())
