"""What has changed since a run was pinned: its plan file and the settings, as they are today.

A run goes on as it began. What changed meanwhile is said, and taken over only when a person asks for it.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from pydantic import JsonValue

from graftline.agents.profiles import PROFILE_TYPES, AnyProfile
from graftline.errors import UserError
from graftline.git.repository import Repository
from graftline.pinned import PinnedRun
from graftline.plan import Plan
from graftline.preflight import NO_BLOCKS, load_effective, read_plan
from graftline.settings import Settings, public_dump

VALUE_CHARACTERS = 60


@dataclass(frozen=True)
class Today:
    """What a run would be pinned with if it began now.

    `plan` is None when its file cannot be read, and `why` says, or when the request is in words.
    """

    plan: Plan | None
    settings: Settings
    why: str = ""


def read_today(
    pinned: PinnedRun,
    repository: Repository,
    environ: Mapping[str, str],
    *,
    blocks: Mapping[str, AnyProfile] = NO_BLOCKS,
) -> Today:
    """Plan and settings as they are now; a plan file that is gone or broken stops nobody from going on without it.

    Raises:
        SettingsError: the settings cannot be read.
    """
    settings = load_effective(pinned.request, repository, environ, blocks=blocks).settings
    try:
        manifest = read_plan(pinned.request, repository, agents=(*settings.agents, *PROFILE_TYPES))
    except UserError as error:
        return Today(None, settings, why=str(error))
    return Today(manifest.plan if manifest is not None else None, settings)


def find_changes(pinned: PinnedRun, today: Today) -> tuple[str, ...]:
    """A sentence for each difference, settings first."""
    return (*_changed_settings(pinned.settings, public_dump(today.settings)), *_changed_plan(pinned.given, today))


def _changed_settings(before: Mapping[str, JsonValue], after: Mapping[str, JsonValue]) -> Iterator[str]:
    # Through JSON, as the pinned ones went.
    old, new = dict(_flat(before)), dict(_flat(json.loads(json.dumps(after))))
    for key in sorted({*old, *new}):
        if old.get(key) != new.get(key):
            yield f"{key} was {_shown(old, key)} and is {_shown(new, key)}"


def _flat(table: Mapping[str, JsonValue], prefix: str = "") -> Iterator[tuple[str, JsonValue]]:
    for name, value in table.items():
        if isinstance(value, dict) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def _shown(values: Mapping[str, JsonValue], key: str) -> str:
    if key not in values:
        return "not set"
    text = json.dumps(values[key])
    return text if len(text) <= VALUE_CHARACTERS else f"{text[:VALUE_CHARACTERS]}…"


def _changed_plan(before: Plan | None, today: Today) -> Iterator[str]:
    if before is None:  # the planner made it, and nothing but the run changes it
        return
    if today.plan is None:
        yield f"the plan cannot be read: {today.why}"
        return
    old, new = ({spec.id: spec for spec in plan.tasks} for plan in (before, today.plan))
    if before.title != today.plan.title:
        yield "the plan's title is another"
    for task in old:
        if task not in new:
            yield f"task {task} is gone"
        elif old[task] != new[task]:
            fields = type(old[task]).model_fields
            differing = [name for name in fields if getattr(old[task], name) != getattr(new[task], name)]
            yield f"task {task} has another {', '.join(differing)}"
    yield from (f"task {task} is new" for task in new if task not in old)
    if [task for task in old if task in new] != [task for task in new if task in old]:
        yield "the order of the tasks is another"
