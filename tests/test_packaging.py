"""What a user installs: one top-level name, every package and data file, and dependencies that can be had together."""

import os
import re
import tomllib
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import graftline
from tests.installation import LAYERS, ROOT

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
FOR_DEVELOPERS = {"AGENTS.md"}


def files_of(folder: Path) -> Iterator[Path]:
    """Every file a checkout has in a folder, through symlinks, without what Python and tools leave behind."""
    for path, folders, names in os.walk(folder, followlinks=True):
        folders[:] = [name for name in folders if name != "__pycache__"]
        yield from (Path(path) / name for name in names if name not in FOR_DEVELOPERS)


def packages_of(folder: Path) -> Iterator[str]:
    """The dotted names of the packages at and below a folder; the demo's sample project is data, not a package."""
    if (folder / "__init__.py").is_file():
        yield ".".join(folder.relative_to(ROOT).parts)
        for child in folder.iterdir():
            if child.is_dir():
                yield from packages_of(child)


@pytest.fixture
def wheel(wheel_file: Path) -> Iterator[zipfile.ZipFile]:
    """The wheel, open for reading."""
    with zipfile.ZipFile(wheel_file) as opened:
        yield opened


def test_every_package_on_disk_is_listed() -> None:
    assert sorted(packages_of(ROOT / "graftline")) == sorted(PYPROJECT["tool"]["setuptools"]["packages"])


def test_the_layers_are_reached_through_committed_symlinks() -> None:
    links = {name: (ROOT / "graftline" / name).readlink().as_posix() for name in LAYERS}

    assert links == {name: f"../{name}" for name in LAYERS}


def test_the_wheel_holds_every_file_of_the_package_and_no_other(wheel: zipfile.ZipFile) -> None:
    installed = {name for name in wheel.namelist() if ".dist-info/" not in name}

    assert installed == {path.relative_to(ROOT).as_posix() for path in files_of(ROOT / "graftline")}


def test_the_wheels_only_top_level_name_is_graftline(wheel: zipfile.ZipFile) -> None:
    top_level = {name.split("/")[0] for name in wheel.namelist()}

    assert top_level == {"graftline", f"graftline-{graftline.__version__}.dist-info"}


def test_the_wheel_carries_its_command_its_types_and_its_licence(wheel: zipfile.ZipFile) -> None:
    info = f"graftline-{graftline.__version__}.dist-info"

    assert "graftline/py.typed" in wheel.namelist()
    assert wheel.read(f"{info}/licenses/LICENSE") == (ROOT / "LICENSE").read_bytes()
    assert "graftline = graftline.cli:main" in wheel.read(f"{info}/entry_points.txt").decode()


def test_the_module_and_the_distribution_say_the_same_version() -> None:
    assert graftline.__version__ == PYPROJECT["project"]["version"]


def test_the_lock_holds_names_and_exact_versions_only() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()

    assert [line for line in lines if not re.fullmatch(r"[A-Za-z0-9._-]+==[A-Za-z0-9.]+", line)] == []
    names = [canonicalize_name(line.split("==")[0]) for line in lines]
    assert sorted(set(names)) == sorted(names)


def test_the_lock_pins_every_dependency_within_its_bounds() -> None:
    lines = (ROOT / "requirements.lock").read_text().splitlines()
    pins = {canonicalize_name(name): pin for name, pin in (line.split("==") for line in lines)}
    groups = PYPROJECT["dependency-groups"].values()
    texts = [*PYPROJECT["project"]["dependencies"], *(text for group in groups for text in group)]
    wanted = [Requirement(text) for text in texts if not text.startswith("setuptools")]  # an installer's own business

    unmet = [str(one) for one in wanted if pins.get(canonicalize_name(one.name), "0") not in one.specifier]

    assert unmet == []
