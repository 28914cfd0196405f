"""What a planner is shown of a repository: from git alone, within a budget, the same for the same commit and request.

Whatever a repository says stands in code blocks, as data. Each section has its share of the budget; what one does not
need goes to the map. A token is taken for three characters, which errs on the safe side for code and English.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from graftline.git.objects import read_blobs
from graftline.git.repository import Repository
from graftline.planning.commands import find_commands
from graftline.planning.history import History
from graftline.planning.index import RepositoryIndex
from graftline.planning.ranking import rank_files
from graftline.planning.repository_map import map_files
from graftline.planning.sections import Section
from graftline.planning.signals import Corpus, request_words
from graftline.planning.tracked import MAX_BYTES
from graftline.text import plain_line, plain_text

CHARS_PER_TOKEN = 3
MAX_FILES = 200
LIKELY_FILES = 10
"""How many of the best files have their commits and their company shown."""
INSTRUCTION_FILES = ("AGENTS.md", "CLAUDE.md", "GEMINI.md", ".github/copilot-instructions.md")
LINE_CHARS = 300
MAX_COMMITS = 20
MIN_TOGETHER = 3
"""Changes that two files share before they are said to change together."""
LAYOUT_SHARE, COMMANDS_SHARE, INSTRUCTIONS_SHARE, COMMITS_SHARE, TOGETHER_SHARE = 0.06, 0.05, 0.2, 0.1, 0.05


@dataclass(frozen=True)
class Context:
    """What a planner is shown. `files` are the likeliest, best first; `notes` tell a person what was left out."""

    text: str
    files: tuple[str, ...]
    tokens: int
    notes: tuple[str, ...]


def build_context(
    repository: Repository,
    commit: str,
    request: str,
    *,
    index: RepositoryIndex,
    history: History,
    max_tokens: int,
) -> Context:
    """What a planner is shown of a commit for a request, in at most `max_tokens`."""
    room = max_tokens * CHARS_PER_TOKEN
    ranked = rank_files(request, corpus=Corpus(index), history=history)
    files = ranked[:MAX_FILES]
    likely = ranked[:LIKELY_FILES]
    texts = _Texts(repository, index)
    notes: list[str] = []

    layout, _ = _layout(commit, index).within(int(room * LAYOUT_SHARE))
    commands, _ = _commands(index, texts).within(int(room * COMMANDS_SHARE))
    instructions = _instructions(index, texts, int(room * INSTRUCTIONS_SHARE), notes)
    commits, _ = _commits(likely, history).within(int(room * COMMITS_SHARE))
    together, _ = _company(likely, index, history).within(int(room * TOGETHER_SHARE))
    around = (layout, commands, instructions, commits, together)
    section = _map(files, request, index, texts)
    repository_map, kept = section.within(room - sum(map(len, around)))
    named = sum(not line.startswith(" ") for line in section.lines[:kept])
    notes.append(f"the planner is shown {named} of {len(index.files)} files")
    unread = Counter(facts.skipped for facts in index.files.values() if facts.skipped)
    if unread:
        kinds = ", ".join(f"{count} {reason}" for reason, count in sorted(unread.items()))
        notes.append(f"files that were not read: {kinds}")
    text = f"{layout}{commands}{instructions}{repository_map}{commits}{together}"
    return Context(text, files, math.ceil(len(text) / CHARS_PER_TOKEN), tuple(notes))


class _Texts:
    """Texts of files at the commit; those that are too large to read are empty."""

    def __init__(self, repository: Repository, index: RepositoryIndex) -> None:
        self._git_dir = repository.git_dir
        self._files = index.files

    def read(self, path: str) -> str:
        return self.contents([path])[path].decode("utf-8", "replace")

    def contents(self, paths: Sequence[str]) -> Mapping[str, bytes]:
        blobs = {path: self._files[path].blob for path in paths if 0 <= self._files[path].size <= MAX_BYTES}
        contents = read_blobs(self._git_dir, list(dict.fromkeys(blobs.values()))) if blobs else {}
        return {path: contents[blobs[path]] if path in blobs else b"" for path in paths}


def _layout(commit: str, index: RepositoryIndex) -> Section:
    files = [facts for facts in index.files.values() if not facts.skipped]
    languages = Counter(facts.language for facts in files if facts.language)
    told = ", ".join(f"{language} ({count} files)" for language, count in _most(languages)) or "none that is parsed"
    folders = Counter("/".join(facts.path.split("/")[:-1][:2]) + "/" for facts in files)
    return Section(
        "Repository",
        f"Commit {commit}, {len(index.files)} tracked files. Languages: {told}. Folders, with the files below them:",
        [f"{count:>6}  {plain_line(folder, LINE_CHARS)}" for folder, count in _most(folders)],
    )


def _commands(index: RepositoryIndex, texts: _Texts) -> Section:
    commands = find_commands(tuple(index.files), texts.read)
    return Section(
        "Commands",
        "Found in files at the root of the repository; nothing was run.",
        [plain_line(command, LINE_CHARS) for command in commands],
    )


def _instructions(index: RepositoryIndex, texts: _Texts, room: int, notes: list[str]) -> str:
    """What the repository tells agents, each file in a section of its own; the same content only once."""
    sections = []
    seen: set[str] = set()
    for path in INSTRUCTION_FILES:
        if path not in index.files or index.files[path].blob in seen:
            continue
        seen.add(index.files[path].blob)
        lines = [plain_text(line, LINE_CHARS) for line in texts.read(path).strip().splitlines()]
        section = Section(f"Instructions in {path}", "For agents that work in the repository.", lines)
        text, shown = section.within(room)
        if shown < len(lines):
            notes.append(f"{path} was cut to {shown} of {len(lines)} lines")
        room -= len(text)
        sections.append(text)
    return "".join(sections)


def _map(files: Sequence[str], request: str, index: RepositoryIndex, texts: _Texts) -> Section:
    return Section(
        "Map",
        "The files that the request is likeliest about, best first, each with lines that define something in it.",
        map_files(files, index=index, words=request_words(request), contents=texts.contents),
    )


def _commits(likely: Sequence[str], history: History) -> Section:
    lines = [
        f"{plain_line(commit.subject, LINE_CHARS)} ({len(commit.paths)} files)"
        for commit in history.touching(likely)[:MAX_COMMITS]
    ]
    return Section("Recent commits", f"The latest that touched one of the first {len(likely)} files.", lines)


def _company(likely: Sequence[str], index: RepositoryIndex, history: History) -> Section:
    lines = []
    for path in likely:
        changes = len(history.touching([path]))
        for other, count in _most(history.together(path))[:3]:
            if count >= MIN_TOGETHER and other in index.files:
                lines.append(
                    f"{plain_line(path, LINE_CHARS)} with {plain_line(other, LINE_CHARS)}: {count} of {changes}"
                )
    return Section("Files that change together", "In how many of a file's commits another one changed too.", lines)


def _most(counts: Mapping[str, int]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
