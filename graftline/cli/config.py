"""`graftline config`: the effective settings, each with where it comes from."""

import json as json_module
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from pydantic import JsonValue

from graftline.git.repository import open_repository
from graftline.settings import load_settings, public_dump


def config(*, repository: Path = Path(), json: Annotated[bool, Parameter(negative=())] = False) -> int:
    """Show the effective settings, and whether each is a default or comes from a file or a variable.

    Parameters
    ----------
    repository
        The git repository whose graftline.toml counts.
    json
        Print them as one JSON object, without their origins.
    """
    effective = load_settings(open_repository(repository).path, environ=os.environ)
    if json:
        sys.stdout.write(json_module.dumps(public_dump(effective.settings), indent=2) + "\n")
        return 0
    values = dict(flatten(public_dump(effective.settings)))
    width = max(map(len, values))
    for key, value in values.items():
        sys.stdout.write(f"{key:{width}} = {json_module.dumps(value):24} ({effective.origins.get(key, 'default')})\n")
    return 0


def flatten(value: JsonValue, key: str = "") -> Iterator[tuple[str, JsonValue]]:
    """Every setting under its dotted key; an empty table is a setting of its own."""
    if isinstance(value, dict) and value:
        for name, inner in value.items():
            yield from flatten(inner, f"{key}.{name}" if key else name)
    else:
        yield key, value
