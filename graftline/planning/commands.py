"""How a repository is built and tested, as its own files say: what a planner writes into "done when"."""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType

from graftline.verify.detect import has_pytest_tests

MAX_NAMED = 15
"""Targets or scripts that one file contributes."""
# What a file at the root stands for.
_BY_FILE: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "tox.ini": ("tox",),
        "noxfile.py": ("nox",),
        "go.mod": ("go build ./...", "go test ./..."),
        "Cargo.toml": ("cargo build", "cargo test"),
        "pom.xml": ("mvn test",),
        "gradlew": ("./gradlew build", "./gradlew test"),
        "phpunit.xml.dist": ("vendor/bin/phpunit",),
        "phpunit.xml": ("vendor/bin/phpunit",),
        "CMakeLists.txt": ("cmake -B build && cmake --build build", "ctest --test-dir build"),
        "Rakefile": ("rake",),
    }
)
_MAKEFILES = ("GNUmakefile", "makefile", "Makefile")
_TARGET = re.compile(r"^([A-Za-z0-9][\w-]*)[ \t]*:(?![:=])", re.MULTILINE)
_RECIPE = re.compile(r"^@?([A-Za-z][\w-]*)(?:[ \t]+[^:=\n]*)?:(?!=)", re.MULTILINE)


def find_commands(tracked: Sequence[str], read: Callable[[str], str]) -> tuple[str, ...]:
    """The commands that tracked files at the root name; `read` gives the text of one of them."""
    at_root = frozenset(path for path in tracked if "/" not in path)
    commands = ["python -m pytest"] if has_pytest_tests(tracked, read) else []
    makefile = next((name for name in _MAKEFILES if name in at_root), None)
    if makefile is not None:
        commands += _named("make", _TARGET.findall(read(makefile)))
    if "justfile" in at_root:
        commands += _named("just", _RECIPE.findall(read("justfile")))
    for name, runner in (("package.json", "npm run"), ("composer.json", "composer run")):
        if name in at_root:
            commands += [f"{runner} {script}: {command}" for script, command in _scripts(read(name))]
    commands += [command for name, known in _BY_FILE.items() if name in at_root for command in known]
    return tuple(dict.fromkeys(commands))


def _named(program: str, names: Sequence[str]) -> list[str]:
    return [f"{program} {name}" for name in list(dict.fromkeys(names))[:MAX_NAMED]]


def _scripts(text: str) -> list[tuple[str, str]]:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return []
    scripts = document.get("scripts") if isinstance(document, dict) else None
    pairs = scripts.items() if isinstance(scripts, dict) else ()
    return [(name, command) for name, command in pairs if isinstance(command, str)][:MAX_NAMED]
