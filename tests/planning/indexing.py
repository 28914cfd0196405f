"""Indexes of made-up files, read in this process: for what does not depend on git or on who parses."""

from collections.abc import Mapping

from graftline.git.objects import TreeFile
from graftline.planning.facts import BlobKey
from graftline.planning.history import Commit, History
from graftline.planning.index import RepositoryIndex, assemble_index
from graftline.planning.languages import language_of
from graftline.planning.parsing import parse_blob
from graftline.planning.tracked import skip_reason


def index_texts(texts: Mapping[str, str]) -> RepositoryIndex:
    """The index of files with these texts."""
    files = [TreeFile(path, f"{place:040x}", len(text)) for place, (path, text) in enumerate(sorted(texts.items()))]
    facts = {
        BlobKey(file.blob, language_of(file.path)): parse_blob(language_of(file.path), texts[file.path].encode())
        for file in files
        if not skip_reason(file)
    }
    return assemble_index(files, facts)


def history_of(*commits: tuple[str, tuple[str, ...]]) -> History:
    """A history of commits, newest first: messages and the files they touched."""
    return History(
        tuple(
            Commit(f"{place:040x}", message.partition("\n")[0], message, tuple(sorted(paths)), 1_700_000_000 - place)
            for place, (message, paths) in enumerate(commits)
        )
    )
