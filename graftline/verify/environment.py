"""The environment tests run in: built up from nothing, so that it is the same for the base and for every candidate."""

import os
import shlex
from collections.abc import Collection, Mapping
from pathlib import Path

_PASSED = frozenset({"USER", "LOGNAME", "SHELL", "TZ", "LANG", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE"})
_PROXIES = frozenset({"http_proxy", "https_proxy", "no_proxy", "all_proxy"})
# Toolchains and package caches that live in the person's home, and would be gone behind a private one: without
# RUSTUP_HOME `cargo` finds no compiler, without PYTHONUSERBASE `python3` loses what `pip install --user` put there.
_TOOL_HOMES = {
    "CARGO_HOME": ".cargo",
    "GOPATH": "go",
    "PYENV_ROOT": ".pyenv",
    "PYTHONUSERBASE": ".local",
    "RUSTUP_HOME": ".rustup",
    "UV_CACHE_DIR": ".cache/uv",
}


def build_environment(
    environ: Mapping[str, str], *, python: str | None, pass_env: Collection[str], home: Path, temporary: Path
) -> dict[str, str]:
    """The environment of a test command, as far as it does not depend on the tree.

    `environ` is graftline's own, of which only what is named here or in `pass_env` goes on: no key, token or setting
    reaches the tests unless a person says so.
    The folder of a virtual environment's interpreter leads PATH, as activating it would have it.
    """
    path = environ.get("PATH", os.defpath)
    env = {
        name: value
        for name, value in environ.items()
        if name in _PASSED or name in pass_env or name.lower() in _PROXIES or name.startswith("LC_")
    }
    env.setdefault("LANG", "C.UTF-8")
    for name, folder in _TOOL_HOMES.items():
        place = environ.get(name) or str(Path(environ.get("HOME", "/nonexistent"), folder))
        if Path(place).is_dir():
            env[name] = place
    if python is not None and (environment := virtual_environment(python)) is not None:
        env["VIRTUAL_ENV"] = str(environment)
        path = f"{environment / 'bin'}{os.pathsep}{path}"
    return {
        **env,
        "PATH": path,
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "PYTHONDONTWRITEBYTECODE": "1",
        "PYTHONHASHSEED": "0",
    }


def source_path(worktree: Path) -> list[str]:
    """Where a tree's own packages are imported from, ahead of any install of them: `src`, then the root."""
    return [str(folder) for folder in (worktree / "src", worktree) if folder.is_dir()]


def virtual_environment(python: str) -> Path | None:
    """The virtual environment an interpreter belongs to; its links are not followed, since they lead out of it."""
    folder = Path(python).absolute().parent.parent
    return folder if (folder / "pyvenv.cfg").is_file() else None


def pytest_options(*, plugin: str, worktree: Path, cache: Path) -> str:
    """PYTEST_ADDOPTS of a run: they come after the project's own `addopts` and before the arguments of the command.

    The cache moves out of the worktree; switching it off would make `cache_dir` and `--lf` in a project's
    configuration errors. Node ids are relative to the worktree wherever the configuration lies. A run that stops at
    the first failure cannot be compared with another, so `-x` among `addopts` is overridden.
    """
    options = (
        *("-p", plugin),
        *("--rootdir", str(worktree)),
        *("-o", f"cache_dir={cache}"),
        "--continue-on-collection-errors",
        "--maxfail=0",
    )
    return shlex.join(options)
