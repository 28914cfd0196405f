"""What is wrong with settings, in sentences that name the key, the place and what was probably meant.

Values are never repeated: any of them may be a secret.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from difflib import get_close_matches

from pydantic import BaseModel
from pydantic_core import ErrorDetails

from graftline.agents.profiles import PROFILE_TYPES
from graftline.agents.tiers import TIERS
from graftline.prices import ModelPrice
from graftline.settings_sources import DELIMITER, PREFIX, Key, Layer, place_of

_SENTENCES = {
    "missing": "is missing",
    "model_type": "must be a table",
    "model_attributes_type": "must be a table",
    "dict_type": "must be a table",
    "union_tag_not_found": f"needs a type: one of {', '.join(PROFILE_TYPES)}",
    "union_tag_invalid": f"has an unknown type; it is one of {', '.join(PROFILE_TYPES)}",
}


def describe_errors(
    errors: Iterable[ErrorDetails], *, model: type[BaseModel], merged: Mapping[str, object], layers: Sequence[Layer]
) -> list[str]:
    """One line per validation error."""
    lines = []
    for error in errors:
        key = _key(error["loc"])
        place = place_of(key, layers)
        if error["type"] == "extra_forbidden":
            sentence = _describe_unknown(key, place=place, model=model, merged=merged)
        else:
            sentence = f"{_spell(key)} {_SENTENCES.get(error['type']) or error['msg'].removeprefix('Input ')}"
        lines.append(f"{place}: {sentence}")
    return lines


def describe_contradictions(
    *, default_backend: str, merged: Mapping[str, object], layers: Sequence[Layer]
) -> list[str]:
    """One line per pair of settings that cannot both hold; works on unvalidated values, to come with other errors."""
    profiles = _table(merged, "agents")
    agent = _table(merged, "agent")
    backend = agent.get("backend", default_backend)
    problems: list[tuple[Key, str]] = [
        (("agents", name), "has the name of a backend type; a profile needs a name of its own")
        for name in profiles
        if name in PROFILE_TYPES
    ]
    if isinstance(backend, str) and backend in profiles:
        problems += [
            (
                ("agent", name),
                f"applies to backend types only; {backend!r} is a profile, so set it in [agents.{backend}]",
            )
            for name in ("binary", "model")
            if agent.get(name)
        ]
    elif isinstance(backend, str) and backend not in PROFILE_TYPES:
        problems.append((("agent", "backend"), _describe_unknown_backend(backend, profiles)))
    elif isinstance(backend, str) and any(each.is_required() for each in PROFILE_TYPES[backend].model_fields.values()):
        problems.append(
            (
                ("agent", "backend"),
                f'is a type that needs a profile: write [agents.NAME] with type = "{backend}" and name it here',
            )
        )
    problems += _tier_problems(profiles, _table(merged, "models"))
    return [f"{place_of(key, layers)}: {_spell(key)} {sentence}" for key, sentence in problems]


def _tier_problems(profiles: Mapping[str, object], models: Mapping[str, object]) -> Iterator[tuple[Key, str]]:
    """A tier that two profiles have, and one that is asked for and that none has; what is no tier, validation says."""
    owners: dict[object, str] = {}
    for name in profiles:
        tier = _table(profiles, name).get("tier")
        if tier in TIERS and (owner := owners.setdefault(tier, name)) != name:
            yield ("agents", name, "tier"), f"is that of [agents.{owner}] as well; a tier stands for one profile"
    escalation = models.get("escalation")
    asked: list[tuple[Key, object]] = [
        *((("models", "labels", label), tier) for label, tier in _table(models, "labels").items()),
        *((("models", "escalation"), tier) for tier in (escalation if isinstance(escalation, list) else ())),
    ]
    for key, tier in asked:
        if tier in TIERS and tier not in owners:
            yield key, f'asks for a tier that no profile has: add tier = "{tier}" to the one it means, [agents.NAME]'


def _describe_unknown_backend(backend: str, profiles: Mapping[str, object]) -> str:
    near = get_close_matches(backend, [*profiles, *PROFILE_TYPES], n=1)
    meant = f"; did you mean {near[0]!r}?" if near else "."
    known = f"Profiles: {', '.join(profiles) or 'none'}. Types: {', '.join(PROFILE_TYPES)}."
    return f"names {backend!r}, which is neither a profile nor a backend type{meant} {known}"


def _describe_unknown(key: Key, *, place: str, model: type[BaseModel], merged: Mapping[str, object]) -> str:
    if place.startswith(PREFIX):
        names = [DELIMITER.join(each).upper() for each in _known_keys(model)]
        near = get_close_matches(place.removeprefix(PREFIX), names, n=1)
        return f"unknown variable; did you mean {PREFIX}{near[0]}?" if near else "no setting has this name"
    *tables, name = key
    siblings = _fields(tuple(tables), model=model, merged=merged)
    if near := get_close_matches(name, siblings, n=1):
        return f"unknown key {_spell(key)}; did you mean {near[0]!r}?"
    elsewhere = {each[-1]: each for each in _known_keys(model)}
    if near := get_close_matches(name, elsewhere, n=1):
        return f"unknown key {_spell(key)}; did you mean {_spell(elsewhere[near[0]])}?"
    return f"unknown key {_spell(key)}; known here: {', '.join(sorted(siblings))}"


def _known_keys(model: type[BaseModel]) -> list[Key]:
    """Every key whose name is ours to choose: sections, their fields; not what lies below names of a person's own."""
    keys: list[Key] = []
    for section, field in model.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            keys += [(section, name) for name in field.annotation.model_fields]
        else:
            keys.append((section,))
    return keys


def _fields(table: Key, *, model: type[BaseModel], merged: Mapping[str, object]) -> list[str]:
    if not table:
        return list(model.model_fields)
    if table[0] == "agents" and len(table) == 2:
        profile = PROFILE_TYPES.get(str(_table(_table(merged, "agents"), table[1]).get("type")))
        return list(profile.model_fields) if profile else []
    if table[0] == "prices" and len(table) == 2:
        return list(ModelPrice.model_fields)
    return [key[1] for key in _known_keys(model) if key[0] == table[0] and len(key) > 1]


def _table(values: Mapping[str, object], name: str) -> Mapping[str, object]:
    value = values.get(name)
    return value if isinstance(value, Mapping) else {}


def _key(location: tuple[int | str, ...]) -> Key:
    """The key of a validation error, without what pydantic adds: a profile's type, and a mark where a name is wrong."""
    parts = [str(part) for part in location if part != "[key]"]
    if parts[0] == "agents":
        del parts[2:3]
    return tuple(parts)


def _spell(key: Key) -> str:
    return repr(".".join(key))
