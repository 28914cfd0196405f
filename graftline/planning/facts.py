"""What the content of a file says, wherever in a repository the file is."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from graftline.planning.words import NO_WORDS, Bag


class BlobKey(NamedTuple):
    """What facts go by: the id of the content, and the language it was read in."""

    blob: str
    language: str


@dataclass(frozen=True, slots=True)
class Symbol:
    """A name that a file defines: what it is (`class`, `function`, …) and its line, from 1."""

    name: str
    kind: str
    line: int


@dataclass(frozen=True, slots=True)
class BlobFacts:
    """What one content says. `skipped` says why it was not read; then the rest is empty.

    `references` are the names it uses and does not define; `imports` is as its statements spell it; `names` are the
    words of its definitions, `words` those of its whole text.
    """

    definitions: tuple[Symbol, ...] = ()
    references: Mapping[str, int] = field(default_factory=dict)
    imports: tuple[str, ...] = ()
    names: Bag = NO_WORDS
    words: Bag = NO_WORDS
    skipped: str = ""
