"""Who waits for the parser, and for how long."""

from pathlib import Path

from graftline.git.objects import list_tree
from graftline.planning.facts import BlobKey
from graftline.planning.facts_cache import FactsCache
from graftline.planning.parsing_process import parse_blobs
from tests.conftest import MakeRepository


async def test_what_takes_too_long_is_left_for_the_next_time(make_repository: MakeRepository, tmp_path: Path) -> None:
    git_dir, cache = make_repository({"a.py": "class A: ...\n"}) / ".git", FactsCache(tmp_path / "facts.db")
    sizes = {BlobKey(file.blob, "python"): file.size for file in list_tree(git_dir, "HEAD")}

    await parse_blobs(git_dir, sizes, cache, seconds=0)
    assert cache.load(list(sizes)) == {}

    await parse_blobs(git_dir, sizes, cache)
    assert [facts.definitions[0].name for facts in cache.load(list(sizes)).values()] == ["A"]
