"""`graftline plan`: check a plan file, show it, and write it as a Prefect flow."""

import sys
from pathlib import Path

from graftline.cli.emitted import write_flow
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
    lines = [f"{manifest.plan.title or file.name}: {len(manifest.plan.tasks)} tasks"]
    for task_id in manifest.graph.order:
        spec = manifest.plan.task(task_id)
        after = f" after {', '.join(manifest.graph.waits_for(task_id))}" if manifest.graph.waits_for(task_id) else ""
        lines.append(f"  {task_id}{after}: {spec.title or spec.prompt.strip().splitlines()[0][:80]}")
    lines += [f"note: {note}" for note in manifest.notes]
    sys.stdout.write("\n".join(lines) + "\n")
    if emit is not None:
        write_flow(manifest.plan, source=file, path=emit)
        sys.stderr.write(f"wrote {emit}: run it with python, or deploy it with prefect deploy {emit}:build_plan\n")
    return 0
