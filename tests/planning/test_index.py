"""The index of a real repository's commit, parsed in processes of their own and kept in a cache."""

import asyncio
import sqlite3
from pathlib import Path

import pytest

from graftline.errors import RepositoryError
from graftline.git.repository import open_repository
from graftline.planning.facts import Symbol
from graftline.planning.index import FileFacts, RepositoryIndex, index_repository
from graftline.planning.tracked import MAX_BYTES
from tests.conftest import MakeRepository, run_git

FILES = {
    "shop/cart.py": "from shop.rates import Rate\n\n\nclass Cart:\n    def total(self) -> Rate: ...\n",
    "shop/rates.py": "class Rate: ...\n",
    "README.md": "# A shop\n",
}


async def index(folder: Path, cache: Path | None) -> RepositoryIndex:
    return await index_repository(open_repository(folder), run_git(folder, "rev-parse", "HEAD"), cache=cache)


def commit(folder: Path, files: dict[str, str | bytes]) -> None:
    for path, content in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(content.encode() if isinstance(content, str) else content)
    run_git(folder, "add", "-A")
    run_git(folder, "commit", "-qm", "more")


async def test_the_tracked_files_and_what_they_say(make_repository: MakeRepository, tmp_path: Path) -> None:
    folder = make_repository(FILES)
    (folder / "shop" / "untracked.py").write_text("class Untracked: ...\n")
    (folder / "link.py").symlink_to("shop/cart.py")
    commit(
        folder,
        {
            ".graftlineignore": "secret/\n*.ipynb\n!kept.ipynb\n",
            "secret/key.py": "class Key: ...\n",
            "a.ipynb": "{}",
            "kept.ipynb": "{}",
            "node_modules/left/pad.js": "function pad() {}\n",
            "web/app.min.js": "function app(){}\n",
            "data.py": "x = [\n" + "1,\n" * (MAX_BYTES // 2) + "]\n",
            "logo.py": b"\0\1\2",
            "tab\there.py": "class Odd: ...\n",
        },
    )
    (folder / "shop" / "cart.py").write_text("class Changed: ...\n")

    found = await index(folder, tmp_path / "state" / "facts.db")

    assert {"secret/key.py", "a.ipynb", "link.py"}.isdisjoint(found.files)
    assert {path: facts.skipped for path, facts in found.files.items() if facts.skipped} == {
        "node_modules/left/pad.js": "vendored",
        "web/app.min.js": "generated",
        "data.py": "large",
        "logo.py": "binary",
    }
    cart = found.files["shop/cart.py"]
    assert (cart.definitions, dict(cart.references), cart.imports, cart.language) == (
        (Symbol("Cart", "class", 4), Symbol("total", "function", 5)),
        {"Rate": 2},
        ("shop/rates.py",),
        "python",
    )
    assert found.files["tab\there.py"].definitions == (Symbol("Odd", "class", 1),)
    assert (found.files["kept.ipynb"].language, found.files["README.md"].words.length) == ("", 1)
    assert list(found.files) == sorted(found.files)
    assert (tmp_path / "state" / "facts.db").stat().st_mode & 0o777 == 0o600


async def test_what_is_in_the_cache_is_not_parsed_again(make_repository: MakeRepository, tmp_path: Path) -> None:
    folder, cache = make_repository(FILES), tmp_path / "facts.db"
    first, second = await asyncio.gather(index(folder, cache), index(folder, cache))
    assert first == second
    with sqlite3.connect(cache) as connection:
        connection.execute("UPDATE facts SET said = replace(said, '\"Cart\"', '\"Kept\"')")
        connection.execute("UPDATE facts SET said = 'no JSON' WHERE said LIKE '%\"Rate\",\"class\"%'")
    connection.close()
    commit(folder, {"new.py": "class New: ...\n"})

    found = await index(folder, cache)

    assert names(found, "shop/cart.py") == ["Kept", "total"]
    assert (names(found, "shop/rates.py"), names(found, "new.py")) == (["Rate"], ["New"])
    assert found.files["README.md"] == first.files["README.md"]


@pytest.mark.parametrize("damage", ["garbage", "folder"])
async def test_a_cache_that_cannot_be_used_costs_time_alone(
    damage: str, make_repository: MakeRepository, tmp_path: Path
) -> None:
    folder, cache = make_repository(FILES), tmp_path / "facts.db"
    if damage == "folder":
        cache.mkdir()
    else:
        cache.write_bytes(b"not a database, " * 100)

    found = await index(folder, cache)

    assert names(found, "shop/cart.py") == ["Cart", "total"]
    if damage == "garbage":
        with sqlite3.connect(cache) as connection:
            assert connection.execute("SELECT count(*) FROM facts").fetchone() == (3,)
        connection.close()


async def test_a_file_that_kills_the_parser_costs_that_file_alone(make_repository: MakeRepository) -> None:
    # The parser of C++ takes 20 GB for this one.
    folder = make_repository({**FILES, "a.cpp": "a<b>::\n" * 36_000, "z.py": "class Last: ...\n"})

    found = await index(folder, None)

    assert [facts.path for facts in found.files.values() if facts.skipped] == ["a.cpp"]
    assert found.files["a.cpp"].skipped == "unreadable"
    assert (names(found, "shop/cart.py"), names(found, "z.py")) == (["Cart", "total"], ["Last"])


async def test_a_content_that_the_repository_lacks_is_named(make_repository: MakeRepository) -> None:
    folder = make_repository(FILES)
    blob = run_git(folder, "rev-parse", "HEAD:shop/rates.py")
    lost = folder / ".git" / "objects" / blob[:2] / blob[2:]
    lost.unlink()

    found = await index(folder, None)

    assert found.files["shop/rates.py"] == FileFacts("shop/rates.py", blob, -1, "python", skipped="missing")


async def test_an_ignore_file_that_is_none_is_refused(make_repository: MakeRepository) -> None:
    folder = make_repository({**FILES, ".graftlineignore": "!\n"})

    with pytest.raises(RepositoryError, match=r"\.graftlineignore: not gitignore syntax"):
        await index(folder, None)


def names(index: RepositoryIndex, path: str) -> list[str]:
    return [symbol.name for symbol in index.files[path].definitions]
