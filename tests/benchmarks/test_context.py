"""The benchmark of what a planner is shown: which commits it takes for requests, and what it counts."""

from pathlib import Path

import pytest

from benchmarks.context import DEPTHS, RANKERS, measure_recall
from benchmarks.real_requests import ancestry, leading_to, real_requests
from tests.conftest import MakeRepository, run_git

FILES = {f"shop/{name}.py": f"def {name}(): ...\n" for name in ("cart", "rates", "invoice", "parcel")}


@pytest.fixture
def history(make_repository: MakeRepository) -> Path:
    folder = make_repository(FILES)

    def commit(message: str, **contents: str) -> None:
        for stem, content in contents.items():
            (folder / "shop" / f"{stem}.py").write_text(content)
        run_git(folder, "add", "-A")
        run_git(folder, "commit", "-q", "--allow-empty", "-m", message)

    commit("Round the cart totals\n\nSigned-off-by: Somebody <a@b>", cart="def cart(): return 1\n")
    commit("Bump version of everything", cart="def cart(): return 2\n")
    commit("typo", cart="def cart(): return 3\n")
    run_git(folder, "switch", "-qc", "side")
    commit("Print invoice numbers larger", invoice="def invoice(): return 1\n", fresh="x = 1\n")
    run_git(folder, "switch", "-q", "main")
    commit("Only a fresh file appears", another="x = 1\n")
    run_git(folder, "merge", "-q", "--no-ff", "-m", "Merge the invoice printing branch", "side")
    return folder


def test_requests_are_commits_that_were_asked_for_in_words(history: Path) -> None:
    found = list(real_requests(history / ".git"))

    assert {(request.text, request.changed) for request in found} == {
        ("Round the cart totals", ("shop/cart.py",)),
        ("Print invoice numbers larger", ("shop/invoice.py",)),
    }
    printed = next(request for request in found if request.text.startswith("Print"))
    earlier = leading_to(printed.parent, ancestry(history / ".git"))
    assert printed.parent in earlier
    assert printed.commit not in earlier
    assert run_git(history, "rev-parse", "main^1") not in earlier


async def test_recall_is_the_share_of_the_changed_files_that_were_found(history: Path, tmp_path: Path) -> None:
    measured = await measure_recall(history / ".git", limit=1, cache=tmp_path / "facts.db")

    assert (measured.repository, measured.requests) == ("repository", 1)
    assert measured.shares == {name: (1.0,) * len(DEPTHS) for name in RANKERS}
