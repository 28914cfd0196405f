"""Paths that a plan may name: which are allowed, and when two of them may mean the same file.

A path in a plan comes from a model or a stranger's file, so it is judged by its text alone, before anything touches the
disk: relative to the root of the repository, POSIX, and never into git's own folder on any file system.
"""

import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import takewhile

import pathspec

GLOB_CHARACTERS = "*?[{"
_LONGEST_NAME_BYTES = 255  # ext4, APFS and NTFS all stop there
_MOST_ALTERNATIVES = 200  # thirty pairs of braces stand for a thousand million
_DRIVE = re.compile(r"^[A-Za-z]:")
_BRACES = re.compile(r"\{([^{}]*)\}")
# NTFS reads "GIT~1" as the short name of ".git".
_GIT_FOLDERS = frozenset({".git", "git~1"})


def clean_pattern(text: str) -> str:
    """The path or glob in its one spelling: no `.` components, no doubled or trailing slashes.

    Raises ValueError, with a message for people, when the path is not one a plan may name.
    """
    if not text.strip():
        raise ValueError("an empty path")
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in text):
        raise ValueError(f"{text!r} holds control characters")
    if "\\" in text:
        raise ValueError(f"{text!r} holds a backslash; write paths with forward slashes")
    if text.startswith("/") or _DRIVE.match(text):
        raise ValueError(f"{text!r} is absolute; write it relative to the root of the repository")
    components = [component for component in text.split("/") if component not in {"", "."}]
    if not components:
        raise ValueError(f"{text!r} names the whole repository; write '**' when that is meant")
    for component in components:
        _check_component(component, text)
    if _count_alternatives(text) > _MOST_ALTERNATIVES:
        raise ValueError(f"{text[:40]!r}… stands for more than {_MOST_ALTERNATIVES} paths by its braces")
    return "/".join(components)


def clean_file_path(text: str) -> str:
    """The path of one file: like `clean_pattern`, and already in its one spelling, since it is used as a key."""
    clean = clean_pattern(text)
    if clean != text:
        raise ValueError(f"{text!r} is not a plain file path; write {clean!r}")
    return text


def _check_component(component: str, text: str) -> None:
    if component == "..":
        raise ValueError(f"{text!r} leaves the repository by '..'")
    if _is_git_folder(component):
        raise ValueError(f"{text!r} leads into git's own folder")
    if len(component.encode()) > _LONGEST_NAME_BYTES:
        raise ValueError(f"{text[:40]!r}… has a name of more than {_LONGEST_NAME_BYTES} bytes")


def _is_git_folder(component: str) -> bool:
    """Whether some file system takes the component for `.git`.

    HFS+ ignores format characters, NTFS ignores trailing dots and spaces and reads what follows a colon as a stream.
    """
    visible = "".join(character for character in component if unicodedata.category(character) != "Cf")
    return visible.split(":", 1)[0].rstrip(". ").casefold() in _GIT_FOLDERS


def matches(pattern: str, path: str) -> bool:
    """Whether a path is what a `writes` pattern names: the path itself, one below it, or one that its globs match."""
    return any(matching(pattern, [path]))


def matching(pattern: str, paths: Iterable[str]) -> Iterator[str]:
    """Those of the paths that a `writes` pattern names."""
    return pathspec.GitIgnoreSpec.from_lines(f"/{each}" for each in _expand_braces(pattern)).match_files(paths)


def literal_parts(pattern: str) -> tuple[str, ...]:
    """The components of a pattern before the first with a glob character: where in the tree it can lead."""
    return tuple(takewhile(lambda part: not any(map(part.__contains__, GLOB_CHARACTERS)), pattern.split("/")))


def may_overlap(one: str, other: str) -> bool:
    """Whether two cleaned patterns may mean the same file; in doubt they do.

    A pattern without a glob character means that file or everything below that folder. Of a glob only the text before
    its first glob character counts. Letter case and Unicode form are ignored, as some file systems do.
    """
    one_prefix, one_is_glob = _literal_prefix(one)
    other_prefix, other_is_glob = _literal_prefix(other)
    return _reaches(one_prefix, one_is_glob, other_prefix) or _reaches(other_prefix, other_is_glob, one_prefix)


def _count_alternatives(pattern: str) -> int:
    """How many patterns `_expand_braces` makes of this one; it stops counting when there are too many."""
    count = 1
    while count <= _MOST_ALTERNATIVES and (found := _BRACES.search(pattern)):
        count *= found[1].count(",") + 1
        pattern = pattern[: found.start()] + pattern[found.end() :]
    return count


def _expand_braces(pattern: str) -> list[str]:
    """`{a,b}.py` as `a.py` and `b.py`, from the innermost braces outwards; braces without a pair are plain text."""
    found = _BRACES.search(pattern)
    if found is None:
        return [pattern]
    before, after = pattern[: found.start()], pattern[found.end() :]
    return [each for part in found[1].split(",") for each in _expand_braces(f"{before}{part}{after}")]


def _reaches(prefix: str, is_glob: bool, other_prefix: str) -> bool:
    if is_glob:
        return other_prefix.startswith(prefix)
    return other_prefix == prefix or other_prefix.startswith(f"{prefix}/")


@lru_cache(maxsize=4096)
def _literal_prefix(pattern: str) -> tuple[str, bool]:
    folded = unicodedata.normalize("NFD", pattern.casefold())
    ends = [position for character in GLOB_CHARACTERS if (position := folded.find(character)) >= 0]
    return (folded[: min(ends)], True) if ends else (folded, False)
