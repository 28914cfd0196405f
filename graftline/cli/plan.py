"""`graftline plan`: check a plan file, show it, and write it as a Prefect flow."""

import os
import shlex
from pathlib import Path

from graftline.agents.profiles import PROFILE_TYPES
from graftline.cli.console import stderr_console, stdout_console
from graftline.cli.emitted import write_flow
from graftline.cli.overview import describe_plan
from graftline.errors import RepositoryError
from graftline.git.repository import open_repository
from graftline.manifest import load_manifest
from graftline.settings import Settings, load_settings


def plan(file: Path, /, *, emit: Path | None = None) -> int:
    """Check a plan file and show its tasks in the order they are integrated.

    Within a git repository its settings say which agents do them.

    Parameters
    ----------
    file
        The plan: .md, .yaml or .json.
    emit
        Write a Python file that holds the plan as a Prefect flow: it runs alone, and `prefect deploy` accepts it.
    """
    settings = _settings_here()
    manifest = load_manifest(file, agents=(*settings.agents, *PROFILE_TYPES) if settings else ())
    overview = list(describe_plan(manifest, settings))
    if emit is not None:
        write_flow(manifest.plan, source=file, path=emit)
    stdout_console().say("\n".join(overview))
    if emit is not None:
        named = shlex.quote(str(emit))
        stderr_console().say(
            f"wrote {emit}\n"
            f"  run it:     python {named}\n"
            f"  deploy it:  prefect deploy {shlex.quote(f'{emit}:build_plan')} --name NAME --pool POOL"
        )
    return 0


def _settings_here() -> Settings | None:
    """The settings of the repository one is in; a plan can be looked at anywhere."""
    try:
        repository = open_repository(Path())
    except RepositoryError:
        return None
    return load_settings(repository.path, environ=os.environ).settings
