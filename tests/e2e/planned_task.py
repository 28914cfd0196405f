"""A task of a plan that a model makes: what the planner writes of it, and what its agent then does."""

import shlex
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Change:
    """What an agent does to a file: writes it, or replaces pieces of it, the first of each pair by the second."""

    path: str
    content: str = ""
    edits: tuple[tuple[str, str], ...] = ()

    @property
    def steps(self) -> list[dict[str, object]]:
        """The same, as the scripted model says it."""
        if self.content:
            return [{"write": {"path": self.path, "content": self.content}}]
        return [{"edit": {"path": self.path, "old": old, "new": new}} for old, new in self.edits]


@dataclass(frozen=True)
class PlannedTask:
    """One task; `needs` says of the tasks it depends on what it uses, and `test` is the path of its acceptance test."""

    id: str
    title: str
    what: str
    done_when: tuple[str, ...]
    test: str
    test_content: str = field(repr=False)
    changes: tuple[Change, ...] = field(repr=False)
    where: str = ""
    contract: str = ""
    needs: Mapping[str, str] = field(default_factory=dict)

    @property
    def writes(self) -> tuple[str, ...]:
        """The files that its agent changes, and no other's."""
        return tuple(change.path for change in self.changes)

    def turns(self) -> list[dict[str, object]]:
        """What its agent does: it sees its test red, makes the changes, sees the test green, and says so."""
        run_test = {"bash": shlex.join([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", self.test])}
        return [
            {"tools": [run_test]},
            {"tools": [step for change in self.changes for step in change.steps]},
            {"tools": [run_test], "usage": {"input_tokens": 2400, "output_tokens": 310, "cache_read_tokens": 9000}},
            {"text": f"{self.test} is green."},
        ]


def draft(title: str, tasks: Sequence[PlannedTask]) -> dict[str, object]:
    """The plan as the planner answers it."""
    return {
        "title": title,
        "summary": "Each task by itself, with a test that tells when it is done.",
        "tasks": [
            {
                "id": task.id,
                "title": task.title,
                "what": task.what,
                "where": task.where,
                "contract": task.contract,
                "done_when": list(task.done_when),
                "writes": list(task.writes),
                "read_only": False,
                "depends_on": [{"task": name, "what": what} for name, what in task.needs.items()],
                "acceptance": [{"path": task.test, "content": task.test_content}],
                "untested": "",
                "tests": [],
                "size": "small",
                "tier": "standard",
            }
            for task in tasks
        ],
    }
