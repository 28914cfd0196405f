"""The benchmark of predicted conflicts: which pairs it takes, how it scores, and that its fit finds what is there."""

import math
import random
import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.branches import MOST_FILES, sample_pairs
from benchmarks.conflicts import Case, calibration_table, collect, fitted, table
from benchmarks.scores import Prediction, area_under_curve, brier_score, calibration, fit_logistic
from graftline.planning.conflicts import Apart, Shared
from tests.conftest import MakeRepository, run_git


def merge_sides(folder: Path, number: int, ours: dict[str, str], theirs: dict[str, str]) -> None:
    """A merge of two branches with these files; where they collide, ours is taken."""
    run_git(folder, "switch", "-qc", f"side-{number}")
    write(folder, theirs)
    run_git(folder, "switch", "-q", "main")
    write(folder, ours)
    run_git(folder, "merge", "-q", "--no-ff", "-X", "ours", "-m", f"Merge {number}", f"side-{number}")


def write(folder: Path, files: dict[str, str]) -> None:
    for path, content in files.items():
        (folder / path).write_text(content)
    run_git(folder, "add", "-A")
    run_git(folder, "commit", "-q", "--allow-empty", "-m", "work")


@pytest.fixture
def merged(make_repository: MakeRepository) -> Path:
    """A repository with four merges: of two files, of one file twice, of nothing, and of a mass change."""
    folder = make_repository({"a.txt": "1\n2\n3\n4\n5\n", "b.txt": "b\n"})
    merge_sides(folder, 1, {"a.txt": "ours\n2\n3\n4\n5\n"}, {"b.txt": "theirs\n"})
    merge_sides(folder, 2, {"a.txt": "ours again\n2\n3\n4\n5\n"}, {"a.txt": "theirs\n2\n3\n4\n5\n", "c.txt": "c\n"})
    merge_sides(folder, 3, {"a.txt": "x\n"}, {})
    merge_sides(folder, 4, {"a.txt": "y\n"}, {f"{number}.txt": "" for number in range(MOST_FILES + 1)})
    return folder


def objects_of(folder: Path) -> set[Path]:
    return set((folder / ".git" / "objects").rglob("*"))


def test_pairs_are_the_sides_of_merges_and_the_repository_stays_as_it_is(merged: Path) -> None:
    before = objects_of(merged)
    sample = sample_pairs(merged / ".git", 10)
    assert {(pair.sides, pair.collides) for pair in sample.pairs} == {
        ((("a.txt",), ("b.txt",)), False),
        ((("a.txt",), ("a.txt", "c.txt")), True),
    }
    assert sample.left_out == {"one side changed nothing": 1, f"one side changed more than {MOST_FILES} files": 1}
    assert sample_pairs(merged / ".git", 10) == sample
    assert len(sample_pairs(merged / ".git", 1).pairs) == 1
    assert objects_of(merged) == before
    halves = [pair.halved().sides for pair in sample.pairs]
    assert halves == [pair.halved().sides for pair in sample.pairs]
    assert {(len(one), len(other)) for one, other in halves} == {(1, 1)}


def test_a_repository_becomes_cases_and_lines_of_the_tables(merged: Path) -> None:
    cases = collect(merged, merges=10)
    assert sorted((case.is_shared, case.collides) for case in cases.whole) == [(False, False), (True, True)]
    assert cases.left_out.count("(one side changed") == 2
    line = list(table([(cases.name, cases.whole)]))[-1]
    assert line.startswith("| repository | 2 | 1 | 1 | 1.000 | 1.000 |")
    assert sum(int(row.split("|")[2]) for row in list(calibration_table(cases.whole))[2:]) == 2


def test_scores() -> None:
    happened = [Prediction(0.9, True), Prediction(0.4, True)]
    others = [Prediction(0.4, False), Prediction(0.1, False)]
    assert area_under_curve([*happened, *others]) == 3.5 / 4
    assert brier_score([*happened, *others]) == pytest.approx((0.01 + 0.36 + 0.16 + 0.01) / 4)
    assert math.isnan(area_under_curve(others))
    low, high = calibration([*happened, *others], (0.0, 0.3, 0.5, 0.8, 1.0))[:2]
    assert (low.count, low.predicted, low.observed) == (1, 0.1, 0.0)
    assert (high.low, high.high, high.count, high.predicted, high.observed) == (0.3, 0.5, 2, 0.4, 0.5)


@settings(deadline=None, max_examples=5)
@given(st.floats(-2, 1), st.floats(-2, 2), st.integers(0, 9))
def test_the_fit_finds_the_weights_that_made_the_cases(intercept: float, weight: float, seed: int) -> None:
    chance = random.Random(seed)
    rows = [(chance.gauss(0, 1), chance.gauss(5, 3)) for _ in range(2000)]
    happened = [chance.random() < 1 / (1 + math.exp(-intercept - weight * row[0])) for row in rows]
    found = fit_logistic(rows, happened)
    assert found == pytest.approx([intercept, weight, 0.0], abs=0.5)


def test_a_fit_is_printed_as_it_stands_in_the_code() -> None:
    chance = random.Random(1)
    shared = [Case(Shared(heat, chance.random(), 1.0), chance.random() < heat) for heat in (0.1, 0.5, 0.9) * 30]
    apart = [Case(Apart(partners, 1.0), chance.random() < partners) for partners in (0.1, 0.5, 0.9) * 30]
    one, other = fitted([*shared, *apart])
    number = r"-?\d+\.\d{3}"
    assert re.fullmatch(rf"Model\({number}, Shared\(heat={number}, size={number}, breadth=0\.000\)\)  # 90 pairs", one)
    assert re.fullmatch(rf"Model\({number}, Apart\(partners={number}, breadth=0\.000\)\)  # 90 pairs", other)
