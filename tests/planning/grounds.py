"""Repositories as planning sees them, put together by hand."""

from graftline.planning.facts import Symbol
from graftline.planning.history import Commit, History
from graftline.planning.index import FileFacts, RepositoryIndex


def file(
    path: str,
    *,
    size: int = 1000,
    imports: tuple[str, ...] = (),
    defines: tuple[str, ...] = (),
    uses: tuple[str, ...] = (),
) -> FileFacts:
    """What is known of one file."""
    definitions = tuple(Symbol(name, "function", 1) for name in defines)
    return FileFacts(path, "", size, "", definitions, dict.fromkeys(uses, 1), imports)


def index_of(*files: FileFacts) -> RepositoryIndex:
    """An index of these files."""
    return RepositoryIndex({each.path: each for each in files})


def history_of(*commits: tuple[str, ...]) -> History:
    """A history of commits that touched these paths."""
    return History(tuple(Commit(str(number), "", "", paths, 0) for number, paths in enumerate(commits)))


NO_PAST = History(())
