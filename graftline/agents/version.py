"""Which version of an agent CLI is installed, and whether graftline was ever tried with it."""

import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

from graftline.agents.backend import Probe
from graftline.agents.environment import base_environment
from graftline.errors import CannotRunError
from graftline.process import Command, Ending, Limits, run_process
from graftline.text import plain_end

PROBE_SECONDS = 60.0


def find_program(binary: str, environ: Mapping[str, str]) -> str:
    """The path of a program, or its name where it is not installed.

    It is looked up in our PATH: a task may set another one for what the agent itself starts.
    """
    return shutil.which(binary, path=environ.get("PATH", "")) or binary


async def probe_cli(
    kind: str,
    binary: str,
    environ: Mapping[str, str],
    *,
    tested: Sequence[str],
    install: str,
    variables: Mapping[str, str] | None = None,
) -> Probe:
    """Find a CLI and ask it for its version; whether it has credentials is for its backend to add.

    `install` says how one gets it, `variables` is what it needs to answer.
    """
    found = shutil.which(binary, path=environ.get("PATH", ""))
    if found is None:
        problem = f"{binary!r} is not an executable file on PATH: {install} or set `binary`"
        return Probe(kind, binary, problems=(problem,))
    version, problem = await ask_version(found, environ, variables=variables)
    notes = untested(version, tested)
    is_tested = bool(version) and not notes
    return Probe(kind, found, version, (problem,) if problem else (), notes, is_tested)


async def ask_version(
    binary: str, environ: Mapping[str, str], *arguments: str, variables: Mapping[str, str] | None = None
) -> tuple[str, str]:
    """The version a CLI states, and what is wrong when it states none.

    `arguments` go before `--version`, `variables` is what it needs to answer.
    """
    with tempfile.TemporaryDirectory(prefix="graftline-probe-") as folder:
        env = {**base_environment(environ, home=Path(folder)), **(variables or {})}
        command = Command((binary, *arguments, "--version"), Path(folder), env)
        limits = Limits(wall_seconds=PROBE_SECONDS)
        try:
            result = await run_process(command, log=Path(folder) / "version.log", limits=limits)
        except CannotRunError as error:
            return "", str(error)
    if result.ending is not Ending.EXITED:
        return "", f"{binary} --version did not answer within {PROBE_SECONDS:.0f} s"
    if result.status != 0:
        return "", f"{binary} --version ended with status {result.status}: {plain_end(result.tail, 500)}"
    # A warning on stderr may hold numbers too.
    words = plain_end(result.tail.removesuffix(result.stderr_tail), 100).split()
    return next((word for word in words if word[:1].isdigit()), " ".join(words)), ""


def untested(version: str, tested: Sequence[str]) -> tuple[str, ...]:
    """What to say of a version outside of those that graftline was tried with, oldest first; nothing when within.

    Only major and minor count: CLIs put out patches by the day.
    """
    if not version or not tested:
        return ()
    oldest, newest = _release(tested[0]), _release(tested[-1])
    release = _release(version)
    if release is not None and oldest is not None and newest is not None and oldest[:2] <= release[:2] <= newest[:2]:
        return ()
    tried = tested[0] if len(tested) == 1 else f"{tested[0]} to {tested[-1]}"
    return (f"version {version} is untested; graftline was tried with {tried}, and may misread what this one prints",)


def _release(version: str) -> tuple[int, ...] | None:
    """The numbers of a version; None when it has none."""
    numbers = version.split("-")[0].split("+")[0].split(".")
    return tuple(map(int, numbers)) if all(number.isdigit() for number in numbers) else None
