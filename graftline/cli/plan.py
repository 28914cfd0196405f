"""`graftline plan`: check a plan file, show it, and write it as a Prefect flow."""

import shlex
from pathlib import Path

from graftline.cli.console import stderr_console, stdout_console
from graftline.cli.emitted import write_flow
from graftline.cli.overview import describe_plan
from graftline.manifest import load_manifest


def plan(file: Path, /, *, emit: Path | None = None) -> int:
    """Check a plan file and show its tasks in the order they are integrated.

    Parameters
    ----------
    file
        The plan: .md, .yaml or .json.
    emit
        Write a Python file that holds the plan as a Prefect flow: it runs alone, and `prefect deploy` accepts it.
    """
    manifest = load_manifest(file)
    if emit is not None:
        write_flow(manifest.plan, source=file, path=emit)
    stdout_console().say("\n".join(describe_plan(manifest)))
    if emit is not None:
        named = shlex.quote(str(emit))
        stderr_console().say(
            f"wrote {emit}\n"
            f"  run it:     python {named}\n"
            f"  deploy it:  prefect deploy {shlex.quote(f'{emit}:build_plan')} --name NAME --pool POOL"
        )
    return 0
