"""Flow files can be deployed by path: Prefect then loads `flows/build.py` as a module named `build`, on its own.

A class of such a module exists twice and cannot be unpickled elsewhere, a relative import has no package to start
from, and state would be kept per copy.
"""

import ast
import sys
from pathlib import Path

import pytest

FLOWS = Path(__file__).parents[2] / "flows"
FLOW_FILES = sorted(path for path in FLOWS.glob("*.py") if path.name != "__init__.py")


def problems_in(source: str) -> list[str]:
    """What keeps a flow file from being loaded by its path, a line each."""
    module = ast.parse(source)
    found = [f"line {node.lineno}: class {node.name}" for node in ast.walk(module) if isinstance(node, ast.ClassDef)]
    found += [
        f"line {node.lineno}: relative import"
        for node in ast.walk(module)
        if isinstance(node, ast.ImportFrom) and node.level > 0
    ]
    found += [f"line {node.lineno}: global" for node in ast.walk(module) if isinstance(node, ast.Global)]
    found += [f"line {node.lineno}: module state" for node in module.body if not _is_stateless(node)]
    return found


def _is_stateless(node: ast.stmt) -> bool:
    match node:
        case ast.Import() | ast.ImportFrom() | ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
            return True
        case ast.Expr(value=ast.Constant()):  # a docstring
            return True
        case ast.Assign(targets=[ast.Name(id="__all__")]):
            return True
        case ast.Assign(value=value) | ast.AnnAssign(value=ast.expr() as value):
            return _is_constant(value)
        case ast.If(test=ast.Compare(left=ast.Name(id="__name__"))):
            return True
        case _:
            return False


def _is_constant(value: ast.expr) -> bool:
    match value:
        case ast.Constant():
            return True
        case ast.UnaryOp(operand=operand):
            return _is_constant(operand)
        case ast.Tuple(elts=elements):
            return all(_is_constant(element) for element in elements)
        case _:
            return False


@pytest.mark.parametrize("path", FLOW_FILES, ids=lambda path: path.name)
def test_a_flow_file_can_be_loaded_by_its_path(path: Path) -> None:
    assert problems_in(path.read_text()) == []


@pytest.mark.parametrize("path", FLOW_FILES, ids=lambda path: path.name)
def test_a_flow_file_hides_no_other_module(path: Path) -> None:
    # Prefect puts the folder of a path entrypoint first on sys.path.
    assert path.stem not in sys.stdlib_module_names | {"graftline", "prefect", "pydantic", "anyio", "git"}


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("class Request:\n    pass\n", "line 1: class Request"),
        ("def build():\n    class Request:\n        pass\n", "line 2: class Request"),
        ("from . import merge\n", "line 1: relative import"),
        ("from .merge import merge\n", "line 1: relative import"),
        ("RUNS = []\n", "line 1: module state"),
        ("RUNS: dict[str, str] = {}\n", "line 1: module state"),
        ("logger = getLogger(__name__)\n", "line 1: module state"),
        ("for name in ():\n    print(name)\n", "line 1: module state"),
        ("RUNS = 0\ndef build():\n    global RUNS\n", "line 3: global"),
    ],
)
def test_what_a_flow_file_must_not_hold_is_found(source: str, problem: str) -> None:
    assert problems_in(source) == [problem]


def test_what_a_flow_file_may_hold_is_let_through() -> None:
    source = (
        '"""The main flow."""\nimport anyio\nfrom graftline.plan import Plan\n__all__ = ["build"]\n'
        'POLL_SECONDS = 2.0\nOFFSET = -1\nNAMES: tuple[str, ...] = ("a", "b")\n'
        "async def build(plan: Plan) -> None:\n    await anyio.sleep(POLL_SECONDS)\n"
        'if __name__ == "__main__":\n    anyio.run(build)\n'
    )

    assert problems_in(source) == []
