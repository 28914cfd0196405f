"""What a repository tells agents, read as text: for CLIs that would believe or run more of it than its words."""

from pathlib import Path

# Argument strings end at 128 KiB on Linux.
GUIDE_BYTES = 64 * 1024


def read_guide(worktree: Path, *names: str) -> str:
    """The text of the files of these names at the top of the worktree, cut to what fits an argument.

    Empty when there is none within it; a file with two names is read once.
    """
    texts: list[str] = []
    seen: set[Path] = set()
    room = GUIDE_BYTES
    for name in names:
        path = _within(worktree, name)
        if path is None or path in seen or not room:
            continue
        seen.add(path)
        text, room = _read(path, name, room)
        texts += [text] if text else []
    return "\n\n".join(texts)


def _within(worktree: Path, name: str) -> Path | None:
    """The file behind a name; a link within the repository is common, one that leads out of it is not followed."""
    try:
        real = (worktree / name).resolve(strict=True)
        return real if real.is_relative_to(worktree.resolve()) and real.is_file() else None
    except (OSError, RuntimeError):  # RuntimeError: a loop of links, before Python 3.13
        return None


def _read(path: Path, name: str, room: int) -> tuple[str, int]:
    """A file's text within `room` bytes, and what is left of them."""
    try:
        with path.open("rb") as file:
            content = file.read(room + 1)
    except OSError:
        return "", room
    text = content[:room].decode(errors="ignore").replace("\0", "").strip()
    if len(content) <= room:
        return text, room - len(content)
    return f"{text}\n\n[{name} is cut after {room} bytes; read the rest in the file]", 0
