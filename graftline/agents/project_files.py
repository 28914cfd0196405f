"""Files of a repository that an agent CLI would believe or run, where it has no switch to leave them alone."""

from collections.abc import Sequence
from pathlib import Path

from graftline.errors import UserError


def refuse_project_files(worktree: Path, names: Sequence[str], *, cli: str) -> None:
    """Make sure that a worktree holds none of the files.

    Raises:
        UserError: names those that it does hold.
    """
    # A broken link too: the agent could make it whole. (`exists` follows links.)
    if found := [name for name in names if (worktree / name).exists() or (worktree / name).is_symlink()]:
        raise UserError(
            f"the repository holds {', '.join(found)}: {cli} would run commands from it or send the key elsewhere, and "
            "has no switch that leaves it alone; remove it from the repository, or use another agent"
        )
