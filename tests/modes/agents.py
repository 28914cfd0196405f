"""Two plans: one of agents that are hard to stop, and one of five tasks whose third does what the mood is.

Of those that are hard to stop, each writes a file, says that it is at work, and would work for ever. `polite` finishes
its file when it is told to end. `stubborn` ignores every signal it can, and so does the process that it put into a
session of its own. `parting` ends when it is told to and leaves such a process behind, which holds its stdout. `queued`
waits for its turn, `after` for `polite`.
"""

import json
import shlex
from collections.abc import Mapping
from pathlib import Path

import yaml

from tests.conftest import run_git

WORKING = ("polite", "stubborn", "parting")
FIVE = ("one", "two", "three", "four", "five")
_MOODY = """
echo $GRAFTLINE_TASK_ID >> {signals}/calls
case $GRAFTLINE_TASK_ID-$(cat {signals}/mood) in
three-fails) exit 1 ;;
three-waits)
  echo half > three.txt
  echo $GRAFTLINE_TASK_ATTEMPT > {signals}/waiting
  while grep -q waits {signals}/mood; do sleep 0.05; done ;;
esac
echo whole > $GRAFTLINE_TASK_ID.txt
"""
_DEAF = "trap '' TERM INT HUP; "
_LINES = {
    "polite": "trap 'sleep 1; echo half > polite.txt; exit' TERM; {begin}; sleep 600 & wait",
    "stubborn": _DEAF + "setsid sh -c 'echo > {signals}/stubborn-child; sleep 600' & {begin}; sleep 600; wait",
    "parting": "setsid sh -c {deaf_child} & {begin}; wait",
    "queued": "echo content > queued.txt",
}
_BEGIN = "echo {text} > {task}.txt; until test -e {wait}; do sleep 0.02; done; echo > {signals}/{task}"
PLAN = {
    "version": "1",
    "title": "Hard to stop",
    "tasks": [
        *({"id": task, "agent": task, "prompt": f"do {task}"} for task in (*WORKING, "queued")),
        {"id": "after", "agent": "queued", "prompt": "do after", "depends_on": ["polite"]},
    ],
}


def write_project(folder: Path, *, timeouts: Mapping[str, float], test: str = "true") -> Path:
    """A repository with such agents and a plan for them; `signals` beside it is where they say that they work."""
    signals = folder / "signals"
    signals.mkdir(parents=True)
    quoted = shlex.quote(str(signals))
    deaf_child = shlex.quote(f"{_DEAF}echo > {quoted}/parting-child; sleep 600; wait")
    tables: dict[str, dict[str, object]] = {
        "agent": {"backend": "queued", "max_concurrent": len(WORKING)},
        "test": {"command": ["sh", "-c", test]},
        "retries": {"max_per_task": 0},
        "timeouts": dict(timeouts),
    }
    for task, line in _LINES.items():
        child = "." if task == "polite" else f"{quoted}/{task}-child"
        text = "a quarter" if task == "polite" else "half"
        begin = _BEGIN.format(task=task, text=text, wait=child, signals=quoted)
        command = line.format(begin=begin, signals=quoted, deaf_child=deaf_child)
        tables[f"agents.{task}"] = {"type": "command", "command": ["sh", "-c", command], "cost_usd": 0.0}
    return _write_repository(folder, tables, PLAN)


def write_moody_project(folder: Path) -> Path:
    """A repository with a plan of five tasks; in `signals` beside it are the mood, and a line per call of an agent.

    In the mood `fails` the third task fails, and in the mood `waits` it waits until the mood is another.
    """
    signals = folder / "signals"
    signals.mkdir(parents=True)
    set_mood(folder / "repository", "fails")
    tables: dict[str, dict[str, object]] = {
        "agent": {"backend": "moody"},
        "agents.moody": {
            "type": "command",
            "command": ["sh", "-c", _MOODY.format(signals=shlex.quote(str(signals)))],
            "cost_usd": 0.0,
        },
        "test": {"command": ["true"]},
        "retries": {"max_per_task": 0},
    }
    tasks = [{"id": task, "prompt": f"do {task}", "writes": [f"{task}.txt"]} for task in FIVE]
    return _write_repository(folder, tables, {"version": "1", "title": "Five", "tasks": tasks})


def set_mood(repository: Path, mood: str) -> None:
    """Decide what the third task does."""
    file = repository.parent / "signals" / "mood"
    file.with_suffix(".new").write_text(f"{mood}\n")
    file.with_suffix(".new").replace(file)


def waiting_attempt(repository: Path) -> str:
    """The number of the attempt in which the third task waited last; empty when it has not."""
    file = repository.parent / "signals" / "waiting"
    return file.read_text().strip() if file.exists() else ""


def _write_repository(folder: Path, tables: Mapping[str, Mapping[str, object]], plan: Mapping[str, object]) -> Path:
    repository = folder / "repository"
    repository.mkdir()
    (repository / "graftline.toml").write_text(
        "".join(
            f"[{name}]\n" + "".join(f"{key} = {json.dumps(value)}\n" for key, value in values.items())
            for name, values in tables.items()
        )
    )
    (repository / "plan.yaml").write_text(yaml.safe_dump(dict(plan), sort_keys=False))
    run_git(repository, "init", "-q", "-b", "main")
    run_git(repository, "add", "-A")
    run_git(repository, "-c", "user.name=Person", "-c", "user.email=person@example.com", "commit", "-qm", "First")
    return repository


def are_at_work(repository: Path) -> bool:
    """Whether every agent that has a slot is at work, with what it has started."""
    begun = {path.name for path in (repository.parent / "signals").iterdir()}
    return begun >= {*WORKING, "stubborn-child", "parting-child"}
