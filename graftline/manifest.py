"""Manifests: a plan file in Markdown, YAML or JSON becomes a `Plan`, with every problem of it named at once.

Text goes through `markdown`, `yaml_document` or `json_document` (plain data with lines), `dialect` (a foreign one
becomes ours) and `plan_file` (keys, types, defaults) to `Plan` and `Graph`; `problems` says what was refused.
"""

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from graftline.agents.profiles import PROFILE_TYPES
from graftline.dependencies import nearest
from graftline.errors import ManifestError, Problem, UserError
from graftline.plan import Graph, Plan, graph_of
from graftline.spellings.dialect import SPELLINGS, is_parallel_orchestra, translate
from graftline.spellings.document import Document, printable
from graftline.spellings.json_document import read_json
from graftline.spellings.markdown import Markdown, read_markdown, section_of
from graftline.spellings.plan_file import KNOWN_KEYS, PlanFile
from graftline.spellings.problems import fault_problems, shape_problems
from graftline.spellings.yaml_document import read_yaml, write_yaml

Spelling = Literal["markdown", "yaml", "json"]

_SPELLING_OF_SUFFIX: dict[str, Spelling] = {
    ".md": "markdown",
    ".markdown": "markdown",
    ".yaml": "yaml",
    ".yml": "yaml",
    ".json": "json",
}
SUFFIXES = tuple(_SPELLING_OF_SUFFIX)
_LARGEST_FILE_BYTES = 4_000_000  # PyYAML takes seconds for that much


@dataclass(frozen=True)
class Manifest:
    """A plan that can run; `notes` says what a person should know of it although nothing is wrong."""

    plan: Plan
    graph: Graph
    notes: tuple[str, ...]


def spelling_of(path: Path) -> Spelling:
    """How a plan file is spelt, by its suffix; UserError when it has another one."""
    spelling = _SPELLING_OF_SUFFIX.get(path.suffix.lower())
    if spelling is None:
        raise UserError(f"{path}: a plan file ends in {', '.join(SUFFIXES)}")
    return spelling


def load_manifest(path: Path, *, agents: Collection[str] = ()) -> Manifest:
    """Read a plan file; its suffix says how it is spelt.

    `agents` are the names of configured agent profiles, which a manifest of a foreign dialect may then name. Raises
    ManifestError with every problem, UserError when the file cannot be read at all.
    """
    spelling = spelling_of(path)
    try:
        with path.open("rb") as stream:
            content = stream.read(_LARGEST_FILE_BYTES + 1)
    except OSError as error:
        raise UserError(f"{path}: the plan file cannot be read: {error.strerror}") from error
    if len(content) > _LARGEST_FILE_BYTES:
        raise UserError(f"{path}: more than {_LARGEST_FILE_BYTES // 1_000_000} MB; this cannot be a plan file")
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        problem = Problem("this is not UTF-8 text; save the file as UTF-8", str(path), line)
        raise ManifestError((problem,)) from error
    return parse_manifest(text, file=str(path), spelling=spelling, agents=agents)


def parse_manifest(text: str, *, file: str, spelling: Spelling, agents: Collection[str] = ()) -> Manifest:
    """Read a plan from text; `file` is only for messages. Otherwise like `load_manifest`.

    A prompt is verbatim: in YAML and JSON exactly the value of the key; in a Markdown section everything below the
    heading but the blank lines around it.
    """
    text = text.removeprefix("\ufeff")
    match spelling:
        case "markdown":
            page = read_markdown(text, file=file)
            return _manifest(page.front_matter, agents, page)
        case "yaml":
            return _manifest(read_yaml(text, file=file), agents)
        case "json":
            return _manifest(read_json(text, file=file), agents)


def parse_plan(data: Mapping[str, object], *, file: str = "plan", agents: Collection[str] = ()) -> Manifest:
    """Read a plan that came as data, such as a flow parameter; there are no lines to name then."""
    return _manifest(Document(dict(data), file), agents)


def _manifest(document: Document, agents: Collection[str], page: Markdown | None = None) -> Manifest:
    data = document.data
    if not isinstance(data, dict):
        problem = Problem("a plan is a mapping with at least `tasks`", document.file, document.line(()))
        raise ManifestError((*document.problems, problem))
    notes: tuple[str, ...] = ()
    spellings: Mapping[str, str] = {}
    if is_parallel_orchestra(data):
        document, notes = translate(document, data, agents={*PROFILE_TYPES, *agents})
        spellings = SPELLINGS
    elif page is not None:
        document = _with_sections(document, data, page)
    problems = list(document.problems)
    try:
        plan_file = PlanFile.model_validate(document.data)
    except ValidationError as error:
        problems += shape_problems(error, document, known_keys=KNOWN_KEYS, spellings=spellings)
        problems += fault_problems(document)
    if problems:
        raise ManifestError(tuple(sorted(problems, key=lambda problem: problem.line or 0)))
    plan = plan_file.plan()
    graph = graph_of(plan)
    return Manifest(plan, graph, (*notes, *_notes(graph)))


def _with_sections(document: Document, data: dict[str, object], page: Markdown) -> Document:
    """The document with the prompts of the sections in it; an entry that is no task is left for validation to name."""
    tasks = data.get("tasks")
    if not isinstance(tasks, list):
        return document
    places = {task["id"]: index for index, task in enumerate(tasks) if isinstance(task, dict) and "id" in task}
    lines = dict(document.lines)
    problems = [*document.problems, *page.problems]
    for section in page.sections:
        index = places.get(section.heading)
        if index is None:
            hint = nearest(section.heading, (key for key in places if isinstance(key, str)))
            message = (
                f"the heading `## {printable(section.heading)}` names no task{hint}; inside a prompt use ### or deeper"
            )
            problems.append(Problem(message, document.file, section.line))
        elif "prompt" in tasks[index]:
            message = f"the prompt is given twice (first in line {lines['tasks', index, 'prompt']})"
            problems.append(Problem(message, document.file, section.line, section.heading))
        else:
            tasks[index] = {**tasks[index], "prompt": section.prompt}
            lines["tasks", index, "prompt"] = section.line
    return replace(document, data=data, lines=lines, problems=tuple(problems))


def _notes(graph: Graph) -> Iterator[str]:
    for ordering in graph.orderings:
        if ordering.overlap is None:  # the plan says so itself
            continue
        one, other = ordering.overlap
        what = f"both write `{one}`" if one == other else f"may write the same files (`{one}` and `{other}`)"
        first, second = repr(ordering.first), repr(ordering.second)
        yield f"tasks {first} and {second} {what}: {second} waits for {first}"
    silent = [repr(task.id) for task in graph.plan.tasks if not task.writes and not task.read_only]
    if silent:
        yield f"what these tasks write is unknown, so nothing keeps them apart: {', '.join(silent)} (`writes` says it)"


def dump_manifest(plan: Plan, spelling: Spelling) -> str:
    """Spell a plan; reading the text again gives an equal plan. Values that are defaults are left out."""
    match spelling:
        case "json":
            return json.dumps(_plain(plan), indent=2, ensure_ascii=False) + "\n"
        case "yaml":
            return write_yaml(_plain(plan))
        case "markdown":
            sections = {task.id: section_of(task.id, task.prompt) for task in plan.tasks}
            front_matter = write_yaml(_plain(plan, without_prompt={name for name, text in sections.items() if text}))
            return "\n".join([f"---\n{front_matter}---\n", *(text for text in sections.values() if text)])


def _plain(plan: Plan, *, without_prompt: Collection[str] = ()) -> dict[str, object]:
    head = plan.model_dump(mode="json", include={"title", "description"}, exclude_defaults=True)
    tasks = []
    for task in plan.tasks:
        plain = task.model_dump(mode="json", exclude={"prompt"}, exclude_defaults=True)
        tasks.append(plain if task.id in without_prompt else plain | {"prompt": task.prompt})
    return {"version": plan.version, **head, "tasks": tasks}
