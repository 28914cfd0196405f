"""What predicted conflicts are worth on pairs of branches that people really merged.

A pair are the two sides of a merge with two parents. What each side declares are the files it changed since they
parted; the repository is seen as it was there, and so is its history. The prediction is held against `git merge-tree`,
beside the plain rule "they collide when they change the same file". Since no plan declares all that its tasks come to
change, there is a second table, in which each side declares a random half of its files.

Run: `python -m benchmarks.conflicts REPOSITORY…`; `--fit` also prints the weights that fit these repositories best.
"""

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.branches import sample_pairs
from benchmarks.scores import Prediction, area_under_curve, brier_score, calibration, fit_logistic
from graftline.git.command import git
from graftline.git.repository import Repository
from graftline.planning.conflicts import Apart, Shared, features_of, probability_of
from graftline.planning.footprint import Terrain
from graftline.planning.history import read_history
from graftline.planning.index import FileFacts, RepositoryIndex
from graftline.planning.tracked import tracked_files

EDGES = (0.0, 0.02, 0.05, 0.1, 0.2, 0.4, 1.0)


@dataclass(frozen=True)
class Case:
    """A pair as the models see it: what it was declared as, and whether it collided."""

    features: Shared | Apart
    collides: bool

    @property
    def is_shared(self) -> bool:
        """Whether the plain rule says that they collide."""
        return isinstance(self.features, Shared)


@dataclass(frozen=True)
class Cases:
    """The pairs of one repository, with all that they changed declared, and with half of it."""

    name: str
    whole: list[Case]
    half: list[Case]
    left_out: str


def collect(path: Path, *, merges: int) -> Cases:
    """The cases of a repository."""
    git_dir = Path(git(["-C", str(path), "rev-parse", "--absolute-git-dir"], git_dir=None).text)
    repository = Repository(path, git_dir, git_dir)
    sample = sample_pairs(git_dir, merges)
    whole: list[Case] = []
    half: list[Case] = []
    for pair in sample.pairs:
        terrain = _terrain(repository, pair.base)
        for cases, declared in ((whole, pair), (half, pair.halved())):
            one, other = map(terrain.footprint_of, declared.sides)
            cases.append(Case(features_of(terrain, one, other), pair.collides))
    left_out = ", ".join(f"{count} ({why})" for why, count in sorted(sample.left_out.items()))
    return Cases(path.parent.name if path.name == "repo" else path.name, whole, half, left_out)


def _terrain(repository: Repository, commit: str) -> Terrain:
    """A commit and its past. No file is parsed: what it says counts for the reason of a prediction alone."""
    files = tracked_files(repository.git_dir, commit)
    index = RepositoryIndex({file.path: FileFacts(file.path, file.blob, file.size, "") for file in files})
    return Terrain(index, read_history(repository, commit))


def predictions(cases: Sequence[Case]) -> list[Prediction]:
    """What the models say of the cases."""
    return [Prediction(probability_of(case.features), case.collides) for case in cases]


def same_file(cases: Sequence[Case]) -> list[Prediction]:
    """What the plain rule says, with the best probabilities it could have: the shares that collided in these cases."""
    shares = {}
    for is_shared in (True, False):
        of_kind = [case.collides for case in cases if case.is_shared is is_shared]
        shares[is_shared] = sum(of_kind) / max(1, len(of_kind))
    return [Prediction(shares[case.is_shared], case.collides) for case in cases]


def table(named: Sequence[tuple[str, Sequence[Case]]]) -> Iterator[str]:
    """A line for each repository."""
    yield "| repository | pairs | common file | collide | AUC | same file | Brier | same file |"
    yield "|---|---:|---:|---:|---:|---:|---:|---:|"
    for name, cases in named:
        ours, rule = predictions(cases), same_file(cases)
        shared, collided = sum(case.is_shared for case in cases), sum(case.collides for case in cases)
        yield (
            f"| {name} | {len(cases)} | {shared} | {collided} "
            f"| {area_under_curve(ours):.3f} | {area_under_curve(rule):.3f} "
            f"| {brier_score(ours):.3f} | {brier_score(rule):.3f} |"
        )


def calibration_table(cases: Sequence[Case]) -> Iterator[str]:
    """A line for each range of probabilities."""
    yield "| predicted | pairs | on average | collided |"
    yield "|---|---:|---:|---:|"
    for each in calibration(predictions(cases), EDGES):
        yield f"| {each.low:.0%} to {each.high:.0%} | {each.count} | {each.predicted:.1%} | {each.observed:.1%} |"


def fitted(cases: Sequence[Case]) -> Iterator[str]:
    """The weights that fit the cases best, as they stand in `graftline/planning/conflicts.py`."""
    for kind in (Shared, Apart):
        of_kind = [case for case in cases if isinstance(case.features, kind)]
        intercept, *weights = fit_logistic([case.features for case in of_kind], [case.collides for case in of_kind])
        named = ", ".join(f"{name}={weight:.3f}" for name, weight in zip(kind._fields, weights, strict=True))
        yield f"Model({intercept:.3f}, {kind.__name__}({named}))  # {len(of_kind)} pairs"


def measure(arguments: argparse.Namespace) -> None:
    """Print the tables."""
    found: list[Cases] = []
    for path in arguments.repositories:
        cases = collect(path, merges=arguments.merges)
        print(f"{cases.name}: {len(cases.whole)} pairs; merges left out: {cases.left_out or 'none'}", flush=True)
        found.append(cases)
    kinds = {
        "Declared: all that a side changed": [(cases.name, cases.whole) for cases in found],
        "Declared: half of what a side changed": [(cases.name, cases.half) for cases in found],
    }
    for title, named in kinds.items():
        together = [case for _, cases in named for case in cases]
        print(f"\n{title}\n", *table([*named, ("all", together)]), "", *calibration_table(together), sep="\n")
    if arguments.fit:
        print("\nBest fit\n", *fitted([case for cases in found for case in (*cases.whole, *cases.half)]), sep="\n")


def main() -> None:
    """Measure the repositories that were named."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument(
        "repositories", nargs="+", type=Path, metavar="REPOSITORY", help="a repository, also a bare one"
    )
    parser.add_argument("--merges", type=int, default=400, metavar="N", help="pairs of each repository (default: 400)")
    parser.add_argument("--fit", action="store_true", help="print the weights that fit these repositories best")
    measure(parser.parse_args())


if __name__ == "__main__":
    main()
