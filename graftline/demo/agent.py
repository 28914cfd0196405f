"""A scripted agent: does what a YAML script says instead of thinking, and costs nothing.

    python agent.py SCRIPT.yaml        the prompt on stdin, the facts in GRAFTLINE_TASK_*, as any `command` agent gets

The script maps a task's id to its steps; under `heals` are the steps of heal calls. A mapping from attempt numbers to
steps (`1: […]`, `2: […]`) makes attempts differ.

    tasks:
      greet:
        - say: writing greet.py
        - write: {path: greet.py, text: "def greet(): ..."}
        - edit: {path: README.md, old: hello, new: goodbye}
        - delete: old.py
        - run: [git, commit, -qam, "my own commit"]
        - sleep: 0.5
        - exit: 1
    heals:
      greet:
        - edit: {path: greet.py, old: "...", new: "return 'hello'"}
"""

import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml


def main() -> int:
    """Carry out this call's steps; the exit status of an `exit` step, else 0."""
    sys.stdin.read()
    script = yaml.safe_load(Path(sys.argv[1]).read_text(encoding="utf-8"))
    task, role = os.environ["GRAFTLINE_TASK_ID"], os.environ["GRAFTLINE_TASK_ROLE"]
    steps = script.get("heals" if role == "heal" else "tasks", {}).get(task, [])
    if isinstance(steps, dict):
        steps = steps.get(int(os.environ["GRAFTLINE_TASK_ATTEMPT"]), steps.get("default", []))
    for step in steps:
        ((kind, detail),) = step.items()
        if kind == "exit":
            return int(detail)
        STEPS[kind](detail)
    return 0


def say(text: str) -> None:
    """Print a line, as an agent that tells what it does."""
    print(text, flush=True)  # noqa: T201  stdout is how an agent talks


def write(detail: dict[str, str]) -> None:
    """Write a file, with the folders it needs."""
    path = Path(detail["path"])
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(detail["text"], encoding="utf-8")
    say(f"wrote {path}")


def edit(detail: dict[str, str]) -> None:
    """Replace a text that has to be there."""
    path = Path(detail["path"])
    text = path.read_text(encoding="utf-8")
    if detail["old"] not in text:
        raise SystemExit(f"{path} does not hold {detail['old']!r}")
    path.write_text(text.replace(detail["old"], detail["new"], 1), encoding="utf-8")
    say(f"edited {path}")


STEPS: dict[str, Callable[[Any], object]] = {
    "say": say,
    "write": write,
    "edit": edit,
    "delete": lambda path: Path(path).unlink(),
    "run": lambda argv: subprocess.run(argv, check=True),
    "sleep": time.sleep,
}
"""What a step does; its detail is whatever the script gives."""

if __name__ == "__main__":
    raise SystemExit(main())
