"""`graftline demo`: the real pipeline on a throwaway repository, with a scripted agent instead of a paid one."""

import json
import shutil
import sys
import tempfile
from importlib.resources import as_file, files
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from graftline.cli.run import run_request
from graftline.errors import UserError
from graftline.git.command import git
from graftline.request import BuildRequest

SETTINGS = """\
# The scripted agent of `graftline demo`; take these two tables out to use a real one.
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
    sys.stderr.write(
        f"A throwaway repository: {repository}\n"
        "This is the real pipeline (Prefect flow, git worktrees, merge, tests, healing, landing) with a scripted\n"
        "agent: it writes what a script says, thinks nothing and costs nothing.\n\n"
    )
    code = run_request(BuildRequest(repository=str(repository), plan_file="plan.md"), keep_server=keep_server)
    sys.stderr.write(
        f"\nLook at the result:      cd {repository} && git log --graph --oneline --stat\n"
        f"Try it with a real agent: cd {repository} && git reset --hard start && "
        "graftline run plan.md --backend claude-code\n"
    )
    return code


def make_repository(folder: Path | None) -> Path:
    """A new repository with the demo's package, plan and settings, all committed and tagged `start`.

    Raises:
        UserError: the folder exists and is not empty.
    """
    if folder is not None and folder.exists() and any(folder.iterdir()):
        raise UserError(f"{folder} is not empty: name a new folder")
    repository = (folder or Path(tempfile.mkdtemp(prefix="graftline-demo-"))).resolve()
    agent = repository / ".demo"
    with as_file(files("graftline.demo")) as shipped:
        shutil.copytree(
            shipped / "project", repository, dirs_exist_ok=True, ignore=shutil.ignore_patterns("__pycache__")
        )
        shutil.copy(shipped / "plan.md", repository)
        agent.mkdir()
        for name in ("agent.py", "script.yaml"):
            shutil.copy(shipped / name, agent)
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
