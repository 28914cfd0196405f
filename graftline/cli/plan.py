"""`graftline plan`: check a plan file or have a plan made, show what is to be expected of it, and write it down."""

import contextlib
import os
import shlex
import sys
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from graftline.agents.profiles import PROFILE_TYPES
from graftline.cli.blocks import blocks_of_server
from graftline.cli.console import stderr_console, stdout_console
from graftline.cli.emitted import flow_text
from graftline.cli.new_file import NewFile
from graftline.cli.signals import run_until_signal
from graftline.cli.words import read_words
from graftline.errors import RepositoryError, UserError
from graftline.git.repository import open_repository, resolve_target
from graftline.journal import Entry, EventKind, listening
from graftline.manifest import SUFFIXES, dump_manifest, load_manifest, spelling_of
from graftline.opening import opened_for_planning
from graftline.planning.desk import propose_plan
from graftline.planning.preview import Preview, preview_of
from graftline.planning.prospects import prospects_here, prospects_in
from graftline.report.preview_markdown import preview_markdown
from graftline.report.preview_text import preview_lines
from graftline.report.sentences import describe
from graftline.request import BuildRequest
from graftline.settings import load_settings

UNSAID = frozenset({EventKind.AGENT_PROGRESS, EventKind.PROCESS_STARTED, EventKind.PLAN_PROPOSED})
"""What is not said while a plan is made: the plan itself is shown at the end."""


def plan(
    file: Path | None = None,
    /,
    *,
    prompt: Annotated[str, Parameter(name=["--prompt", "-p"])] = "",
    prompt_file: Annotated[Path | None, Parameter(name=["--prompt-file", "-f"])] = None,
    json: Annotated[bool, Parameter(negative=())] = False,
    markdown: Annotated[bool, Parameter(negative=())] = False,
    out: Path | None = None,
    emit: Path | None = None,
) -> int:
    """Show a plan: its tasks, who does them, what they may cost, which may collide. No agent is started.

    Within a git repository its settings say who does the tasks, and its earlier runs what they may cost.

    Parameters
    ----------
    file
        The plan: .md, .yaml or .json.
    prompt
        A request to plan from; the planner is paid for it.
    prompt_file
        A file with a request to plan from.
    json
        Print all of it as one JSON object on stdout, and nothing else there.
    markdown
        Print it as Markdown, with a diagram and what each task is told.
    out
        Write the plan to this file, as .md, .yaml or .json; `graftline run` executes it as it then stands.
    emit
        Write a Python file that holds the plan as a Prefect flow: it runs alone, and `prefect deploy` accepts it.
    """
    words = read_words(prompt, prompt_file)
    if bool(words) == (file is not None):
        raise UserError('give a plan file or say what to build: graftline plan FILE, or graftline plan -p "…"')
    if json and markdown:
        raise UserError("choose one of --json and --markdown")
    written = NewFile.named("--out", out, SUFFIXES) if out else None
    emitted = NewFile.named("--emit", emit, (".py",)) if emit else None
    preview = run_until_signal(_preview_file(file) if file is not None else _make_plan(words))
    _show(preview, as_json=json, as_markdown=markdown)
    if written is not None:
        written.write(dump_manifest(preview.plan, spelling_of(written.path)))
        stderr_console().say(f"wrote {written.path}\n  run it:     graftline run {shlex.quote(str(written.path))}")
    if emitted is not None:
        source = "a request" if file is None else file.name
        emitted.write(flow_text(preview.plan, source=source, name=emitted.path.name))
        named = shlex.quote(str(emitted.path))
        stderr_console().say(
            f"wrote {emitted.path}\n"
            f"  run it:     python {named}\n"
            f"  deploy it:  prefect deploy {shlex.quote(f'{emitted.path}:build_plan')} --name NAME --pool POOL"
        )
    return 0


async def _preview_file(file: Path) -> Preview:
    """The preview of a plan file; outside a repository nobody knows who does the tasks."""
    try:
        repository = open_repository(Path())
    except RepositoryError:
        manifest = load_manifest(file)
        return preview_of(manifest.plan, notes=manifest.notes)
    settings = load_settings(repository.path, environ=os.environ).settings
    manifest = load_manifest(file, agents=(*settings.agents, *PROFILE_TYPES))
    commit, notes = None, manifest.notes
    try:
        commit = resolve_target(repository, None).commit
    except RepositoryError as error:
        notes = (*notes, f"what may collide is not known: {error}")
    prospects = await prospects_here(manifest.plan, settings, repository, commit, os.environ)
    return preview_of(manifest.plan, prospects=prospects, notes=notes)


async def _make_plan(words: str) -> Preview:
    """The preview of a plan that is made now; who is asked, and what there is to wait for, is said meanwhile."""
    request = BuildRequest(repository=str(Path.cwd()), prompt=words)
    with listening(_say):
        async with opened_for_planning(request, os.environ, load_blocks=blocks_of_server) as run:
            proposed = await propose_plan(run, 1)
            prospects = await prospects_in(run, proposed.plan)
    return preview_of(proposed.plan, by=proposed.by, prospects=prospects, notes=proposed.notes)


def _say(entry: Entry) -> None:
    if entry.event not in UNSAID:
        stderr_console().say(describe(entry))


def _show(preview: Preview, *, as_json: bool, as_markdown: bool) -> None:
    if not (as_json or as_markdown):
        stdout_console().say("\n".join(preview_lines(preview)))
        return
    text = f"{preview.model_dump_json(indent=2)}\n" if as_json else preview_markdown(preview)
    with contextlib.suppress(BrokenPipeError):
        sys.stdout.write(text)
        sys.stdout.flush()
