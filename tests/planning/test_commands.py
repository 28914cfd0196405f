"""Which commands build and test a repository, going by its files."""

import json

import pytest

from graftline.planning.commands import MAX_NAMED, find_commands

CASES: dict[str, tuple[dict[str, str], tuple[str, ...]]] = {
    "python": (
        {"pyproject.toml": "[tool.pytest.ini_options]\n", "tox.ini": "[tox]\n", "noxfile.py": ""},
        ("python -m pytest", "tox", "nox"),
    ),
    "make": (
        {"Makefile": "CC := gcc\nVAR=x\n.PHONY: test\ntest: build ## run\n\t$(CC)\nbuild:\n\ttrue\ntest: again\n"},
        ("make test", "make build"),
    ),
    "javascript": (
        {"package.json": json.dumps({"scripts": {"test": "mocha test/", "odd": 3, "lint": "eslint ."}})},
        ("npm run test: mocha test/", "npm run lint: eslint ."),
    ),
    "broken": ({"package.json": "[" * 100_000, "composer.json": '{"scripts": []}'}, ()),
    "list": ({"package.json": "[1]"}, ()),
    "go": ({"go.mod": "module x\n"}, ("go build ./...", "go test ./...")),
    "rust": ({"Cargo.toml": "", "justfile": "set x := 1\ntest *args: build\n  cargo test\nbuild:\n  true\n"},
             ("just test", "just build", "cargo build", "cargo test")),
    "not at the root": ({"web/package.json": '{"scripts": {"test": "x"}}', "tests.txt": ""}, ()),
}  # fmt: skip


@pytest.mark.parametrize("case", CASES)
def test_commands_are_found_in_files_at_the_root(case: str) -> None:
    files, commands = CASES[case]

    assert find_commands(tuple(files), files.__getitem__) == commands


def test_a_file_names_no_more_than_so_many() -> None:
    makefile = "".join(f"target-{number}:\n" for number in range(MAX_NAMED + 5))

    assert len(find_commands(("Makefile",), lambda _: makefile)) == MAX_NAMED
