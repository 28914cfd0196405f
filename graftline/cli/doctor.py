"""`graftline doctor`: what is installed of each agent, and whether what the settings use can run."""

import asyncio
import json as json_module
import os
import sys
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from graftline.cli.console import stdout_console
from graftline.cli.launch import check_answers
from graftline.diagnosis import AgentCheck, Diagnosis, diagnose
from graftline.errors import ExitCode
from graftline.server import Server, client_environment
from graftline.text import plain_line

LABEL_CHARACTERS = 10
LINE_CHARACTERS = 1000


def doctor(*, repository: Path = Path(), json: Annotated[bool, Parameter(negative=())] = False) -> int:
    """Show what is installed of each agent, and what is missing. Nothing is spent or sent to a provider.

    Exit codes: 0 when what the settings use can run, 3 when something of it is missing or wrong.

    Parameters
    ----------
    repository
        The git repository whose settings count; outside of one, the defaults do.
    json
        Print all of it as one JSON object.
    """
    diagnosis = asyncio.run(diagnose(repository, os.environ, ask=_ask))
    if json:
        answer = {"ready": not diagnosis.missing, "missing": diagnosis.missing, **asdict(diagnosis)}
        sys.stdout.write(json_module.dumps(answer, indent=2) + "\n")
    else:
        stdout_console().say("\n".join(describe(diagnosis)))
    return ExitCode.CANNOT_RUN if diagnosis.missing else ExitCode.SUCCESS


def describe(diagnosis: Diagnosis) -> Iterator[str]:
    """All of it for people, a line each; what is wrong is on a line of its own."""
    for check in diagnosis.checks:
        lines = (check.problem or check.found).splitlines()
        yield labelled(check.name, f"problem: {lines[0]}" if check.problem else lines[0])
        yield from (labelled("", line) for line in lines[1:])
    width = max(len(title_of(agent)) for agent in (*diagnosis.types, *diagnosis.profiles))
    for heading, agents in (("agents", diagnosis.types), ("profiles", diagnosis.profiles)):
        if agents:
            yield heading
        for agent in agents:
            yield from describe_agent(agent, width)
    if diagnosis.missing:
        yield f"Not ready: {', '.join(diagnosis.missing)}"
    else:
        yield "Ready: what the settings use can run"


def describe_agent(agent: AgentCheck, width: int) -> Iterator[str]:
    """What was found of one agent, and below it what is missing and what to know."""
    probe = agent.probe
    tested = {None: "", True: ", tested", False: ", untested"}[probe.is_tested if probe.version else None]
    facts = (
        "not ready" if probe.problems else "ready",
        "used here" if agent.is_used else "",
        f"{probe.version}{tested}",
        probe.binary,
        probe.access,
        agent.provider,
    )
    yield f"  {title_of(agent):{width}}  {plain_line('; '.join(filter(None, facts)), LINE_CHARACTERS)}"
    yield from (f"    problem: {plain_line(problem, LINE_CHARACTERS)}" for problem in probe.problems)
    yield from (f"    note: {plain_line(note, LINE_CHARACTERS)}" for note in probe.notes)


def title_of(agent: AgentCheck) -> str:
    """The agent's name, with its type where that is another, and its tier."""
    about = ", ".join(filter(None, (agent.probe.backend if agent.probe.backend != agent.name else "", agent.tier)))
    return plain_line(f"{agent.name} ({about})" if about else agent.name, LINE_CHARACTERS)


def labelled(label: str, text: str) -> str:
    """A line of it, which steers no terminal."""
    return f"{label:{LABEL_CHARACTERS}}{plain_line(text, LINE_CHARACTERS)}"


async def _ask(server: Server) -> None:
    """Ask a configured server whether it is there."""
    os.environ.update(client_environment(server))
    from prefect.client.orchestration import get_client  # noqa: PLC0415  now that the server's address is known

    async with get_client() as client:
        await check_answers(client, server)
