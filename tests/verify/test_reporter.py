"""The parts of the plugin that need no pytest run of their own."""

import ast
import os
import sys
import types
from pathlib import Path

import pytest

from graftline.verify import pytest_reporter
from graftline.verify.pytest_reporter import ID_CHARACTERS, clean, exceptions_of, foreign_imports, frames_of, short_id


def test_plugin_is_python_3_8_and_imports_nothing_but_the_standard_library_and_pytest() -> None:
    tree = ast.parse(Path(pytest_reporter.__file__).read_text(), feature_version=(3, 8))

    imports = [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)]
    names = {alias.name for node in imports if isinstance(node, ast.Import) for alias in node.names}
    names |= {node.module or "" for node in imports if isinstance(node, ast.ImportFrom)}
    assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names | {"pytest"}


def test_importing_the_plugin_has_no_effect(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTEST_ADDOPTS", "-q")
    source = Path(pytest_reporter.__file__).read_text()
    exec(compile(source, "again.py", "exec"), {"__name__": "again"})  # noqa: S102  our own file, once more
    assert os.environ["PYTEST_ADDOPTS"] == "-q"


def test_exceptions_come_outermost_first_with_groups_and_without_end() -> None:
    cause = KeyError("cause")
    member = OSError("member")
    group = ExceptionGroup("group", [member])
    group.__cause__ = cause
    cause.__context__ = group  # a circle

    assert list(exceptions_of(group)) == [group, cause, member]


def test_suppressed_context_is_not_part_of_the_chain() -> None:
    error = ValueError("shown")
    error.__context__ = KeyError("hidden")
    error.__suppress_context__ = True

    assert list(exceptions_of(error)) == [error]


def test_failed_import_leads_to_the_module_it_failed_on() -> None:
    error = ImportError("cannot import name", path="/tree/cart.py")

    assert frames_of(error) == [{"path": "/tree/cart.py", "lineno": None}]


def test_long_ids_stay_apart() -> None:
    long = "test_a.py::test[" + "x" * ID_CHARACTERS
    assert short_id(long + "1]") != short_id(long + "2]")
    assert len(short_id(long + "1]")) <= ID_CHARACTERS
    assert short_id("test_a.py::test[\udcff]") == "test_a.py::test[?]"


def test_text_keeps_its_beginning_and_end() -> None:
    text = clean("a" * 100 + "b" * 100, limit=40)
    assert text == "a" * 10 + "\n[... 160 characters left out ...]\n" + "b" * 30


@pytest.fixture
def checkouts(tmp_path: Path) -> tuple[Path, Path]:
    """A worktree and a user's checkout with the same packages in several layouts."""
    for place in ("worktree", "checkout"):
        for file in ("flat/__init__.py", "src/inner/__init__.py", "python/deep/mod.py", "space/part/core.py"):
            (tmp_path / place / file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / place / file).touch()
    return tmp_path / "worktree", tmp_path / "checkout"


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("flat", "flat/__init__.py"),
        ("inner", "src/inner/__init__.py"),
        ("deep.mod", "python/deep/mod.py"),
        ("space.part.core", "space/part/core.py"),
    ],
)
def test_module_from_another_checkout_is_foreign_in_every_layout(
    checkouts: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, name: str, file: str
) -> None:
    worktree, checkout = checkouts
    module = types.ModuleType(name)
    monkeypatch.setitem(sys.modules, name, module)

    module.__file__ = str(worktree / file)
    assert foreign_imports(str(worktree)) == []
    module.__file__ = str(checkout / file)
    assert foreign_imports(str(worktree)) == [f"{name.partition('.')[0]} ({checkout / file})"]


def test_module_that_merely_shares_a_name_is_not_foreign(
    checkouts: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    worktree, checkout = checkouts
    (worktree / "json").mkdir()
    (worktree / "json" / "__init__.py").touch()  # hidden behind the standard library's, as in any Python
    (worktree / "plugin.py").touch()
    alias = types.ModuleType("alias")
    alias.__file__ = str(checkout / "flat" / "__init__.py")
    monkeypatch.setitem(sys.modules, "alias", alias)
    monkeypatch.setitem(sys.modules, "plugin", types.SimpleNamespace(__file__="/elsewhere/plugin.py"))

    assert foreign_imports(str(worktree)) == []
