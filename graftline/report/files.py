"""The report as files: in the run's folder always, and where `--report` says."""

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from graftline.errors import CannotRunError, UserError
from graftline.private_files import write_file
from graftline.report.markdown import to_markdown
from graftline.report.model import Report, to_json
from graftline.store import RepositoryStore, RunFolder, find_runs

MOST_EARLIER = 100
"""How many earlier runs are looked at: what a repository was like before them says little of what it is now."""


def save_report(report: Report, run: RunFolder) -> None:
    """Keep the report in the run's folder, as JSON and as Markdown."""
    write_file(run.report_json, to_json(report).encode())
    write_file(run.report_markdown, to_markdown(report).encode())


def write_report(report: Report, path: Path) -> None:
    """Write the report where a person asked for it: JSON when the name ends so, else Markdown."""
    try:
        path.write_text(to_json(report) if path.suffix == ".json" else to_markdown(report), encoding="utf-8")
    except OSError as error:
        raise CannotRunError(f"cannot write the report {path}: {error.strerror or error}") from error


def check_report_path(path: Path) -> None:
    """Refuse a report file that cannot be: for before the run, so that nothing is spent on it."""
    if path.suffix not in {".json", ".md"}:
        raise UserError(f"--report {path}: the name must end in .json or .md")
    if not path.parent.is_dir():
        raise UserError(f"--report {path}: there is no folder {path.parent}")


def read_report(run: RunFolder) -> Report | None:
    """The report kept for a run; None when it has none yet."""
    try:
        return Report.model_validate_json(run.report_json.read_bytes())
    except FileNotFoundError:
        return None
    except ValidationError as error:
        raise UserError(
            f"{run.report_json} is not a report this graftline can read: another version wrote it, or it was changed. "
            f"The record it was made from is {run.journal}."
        ) from error


def earlier_reports(store: RepositoryStore) -> Iterator[tuple[RunFolder, Report]]:
    """The runs of a repository that have a report this graftline can read, the latest first."""
    for run in find_runs(store)[:MOST_EARLIER]:
        with suppress(UserError):
            report = read_report(run)
            if report is not None:
                yield run, report
