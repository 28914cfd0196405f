"""The dialect of parallel-orchestra (`po_plan_version: "0.1"`), translated into ours.

Its manifests are accepted as they are. What has no counterpart here is left out and said, never guessed.
"""

from collections.abc import Collection, Iterator, Mapping

from graftline.dependencies import nearest
from graftline.errors import Problem
from graftline.spellings.document import Document, Location, printable

VERSION_KEY = "po_plan_version"
SUPPORTED_VERSION = "0.1"

# Our keys for theirs; None where there is no counterpart, and `_WHY_IGNORED` says why.
_PLAN_KEYS: dict[str, str | None] = {
    VERSION_KEY: None,
    "name": "title",
    "cwd": None,
    "defaults": "defaults",
    "tasks": "tasks",
    "concurrency_limits": None,
    "on_complete": None,
    "on_failure": None,
}
_TASK_KEYS: dict[str, str | None] = {
    "id": "id",
    "agent": "agent",
    "read_only": "read_only",
    "prompt": "prompt",
    "depends_on": "depends_on",
    "writes": "writes",
    "max_retries": "max_retries",
    "timeout_sec": "timeout_seconds",
    "env": "env",
    "concurrency_group": "concurrency_group",
    "cwd": None,
    "idle_timeout_sec": None,
    "retry_delay_sec": None,
    "retry_backoff_factor": None,
}
_DEFAULTS_KEYS: dict[str, str | None] = {
    key: _TASK_KEYS[key] for key in ("max_retries", "timeout_sec", "agent", "env", "concurrency_group")
}
_WHY_IGNORED = {
    "cwd": "graftline works on the whole repository, and paths start at its root",
    "concurrency_limits": "limits of groups are set in graftline.toml, [limits] groups",
    "on_complete": "a plan calls no webhooks",
    "on_failure": "a plan calls no webhooks",
    "idle_timeout_sec": "graftline.toml has such a limit, [timeouts] output_stall_seconds",
    "retry_delay_sec": "graftline chooses the delays between attempts",
    "retry_backoff_factor": "graftline chooses the delays between attempts",
}

# How our keys are spelt there, for messages and lines.
SPELLINGS = {"title": "name", "timeout_seconds": "timeout_sec"}


def is_parallel_orchestra(data: Mapping[str, object]) -> bool:
    """Whether a plan file is in that dialect."""
    return VERSION_KEY in data


def translate(
    document: Document, data: Mapping[str, object], *, agents: Collection[str]
) -> tuple[Document, tuple[str, ...]]:
    """The document in our keys, and what was left out of it.

    Its agents are roles defined in `.claude/agents`, not CLIs: a name that is none of `agents` gives way to the run's
    own agent. A task without a prompt asks for its role by the slash command parallel-orchestra would send.
    """
    translator = _Translator(document, agents)
    translated = translator.plan(data)
    return document.with_data(translated, problems=tuple(translator.problems)), tuple(translator.notes())


class _Translator:
    """One translation; remembers by note which tasks it concerns, so that a note is said once."""

    def __init__(self, document: Document, agents: Collection[str]) -> None:
        self._document = document
        self._agents = agents
        self._noted: dict[str, list[str]] = {}
        self.problems: list[Problem] = []

    def notes(self) -> Iterator[str]:
        for note, subjects in self._noted.items():
            named = ", ".join(subject for subject in subjects if subject)
            yield f"{named}: {note}" if named else note

    def plan(self, data: Mapping[str, object]) -> dict[str, object]:
        plan = self._renamed(data, _PLAN_KEYS, (), "")
        version = data[VERSION_KEY]
        if version != SUPPORTED_VERSION:
            message = f'`{VERSION_KEY}` is {version!r}; the only one known is "{SUPPORTED_VERSION}", in quotes'
            self._report(message, (VERSION_KEY,), "")
        defaults = data.get("defaults")
        if isinstance(defaults, Mapping):
            plan["defaults"] = self._defaults(defaults)
        tasks = data.get("tasks")
        if isinstance(tasks, list | tuple):
            plan["tasks"] = [self._task(task, ("tasks", index)) for index, task in enumerate(tasks)]
        return plan

    def _defaults(self, data: Mapping[str, object]) -> dict[str, object]:
        for key in data:
            if key not in _DEFAULTS_KEYS:  # a warning there, not an error
                self._note(f"`{printable(key)}` of `defaults` is left out, as parallel-orchestra does", "")
        known = {key: value for key, value in data.items() if key in _DEFAULTS_KEYS}
        defaults = self._renamed(known, _DEFAULTS_KEYS, ("defaults",), "")
        self._replace_agent(defaults, "defaults")
        return defaults

    def _task(self, data: object, location: Location) -> object:
        if not isinstance(data, Mapping):
            return data
        task_id = data["id"] if isinstance(data.get("id"), str) else ""
        task = self._renamed(data, _TASK_KEYS, location, task_id)
        role = task.get("agent")
        if "prompt" not in task and role and isinstance(role, str):
            task["prompt"] = f"/agent-{role}"
            self._note("no prompt, so the agent is sent the command of its role, as parallel-orchestra does", task_id)
        self._replace_agent(task, task_id)
        if task.get("read_only") is True and task.pop("writes", None):
            self._note("`writes` is left out: the task is read_only", task_id)
        return task

    def _renamed(
        self, data: Mapping[str, object], keys: Mapping[str, str | None], location: Location, task_id: str
    ) -> dict[str, object]:
        renamed: dict[str, object] = {}
        for key, value in data.items():
            if key not in keys:
                self._report(f"unknown key `{printable(key)}`{nearest(key, keys)}", (*location, key), task_id)
            elif key in _WHY_IGNORED:
                self._note(f"`{key}` is left out: {_WHY_IGNORED[key]}", task_id)
            elif (ours := keys[key]) and value is not None:  # an empty key is an absent one there
                renamed[ours] = value
        return renamed

    def _replace_agent(self, task: dict[str, object], subject: str) -> None:
        role = task.get("agent")
        if not isinstance(role, str) or role in self._agents:
            return
        del task["agent"]
        if role:
            self._note(f"the role {role!r} is not an agent of graftline; the run's own agent does the work", subject)

    def _note(self, note: str, subject: str) -> None:
        self._noted.setdefault(note, []).append(subject)

    def _report(self, message: str, location: Location, task_id: str) -> None:
        document = self._document
        self.problems.append(Problem(message, document.file, document.line(location), task_id or None))
