"""The map of a repository: its likeliest files, best first, with the lines that define what is in them."""

from collections.abc import Callable, Mapping, Sequence

from graftline.planning.index import FileFacts, RepositoryIndex, Symbol
from graftline.planning.words import words_of
from graftline.text import plain_line, plain_text

# How many files, best first, get at most so many lines each; the rest are named.
DETAIL = ((8, 30), (24, 10), (40, 4))
SIGNATURE_CHARS = 140


def map_files(
    ranked: Sequence[str],
    *,
    index: RepositoryIndex,
    words: Mapping[str, float],
    contents: Callable[[Sequence[str]], Mapping[str, bytes]],
) -> list[str]:
    """The lines of the map; `words` are the request's, and `contents` gives those of files by path."""
    lines = []
    limits = [limit for files, limit in DETAIL for _ in range(files)]
    sources = contents(ranked[: len(limits)])
    for place, path in enumerate(ranked):
        facts = index.files[path]
        lines.append(plain_line(path, 4 * SIGNATURE_CHARS))
        limit = limits[place] if place < len(limits) else 0
        if limit and facts.definitions:
            lines += _signatures(facts, limit, words, sources[path])
    return lines


def _signatures(facts: FileFacts, limit: int, words: Mapping[str, float], content: bytes) -> list[str]:
    """The lines of a file's definitions, those with words of the request before others, in the order of the file."""

    def told(symbol: Symbol) -> float:
        return sum(words.get(word, 0.0) for word in words_of(symbol.name))

    by_line = {symbol.line: symbol for symbol in reversed(facts.definitions)}
    chosen = sorted(by_line.values(), key=lambda symbol: (-told(symbol), symbol.line))[:limit]
    source = content.split(b"\n")
    lines = []
    for symbol in sorted(chosen, key=lambda symbol: symbol.line):
        raw = source[symbol.line - 1][: 4 * SIGNATURE_CHARS] if symbol.line <= len(source) else b""
        text = plain_text(raw.decode("utf-8", "replace"), SIGNATURE_CHARS).expandtabs(4).rstrip()
        lines.append(f"{symbol.line:>5}: {text}")
    left_out = len(by_line) - len(chosen)
    return [*lines, f"       ({left_out} more)"] if left_out else lines
