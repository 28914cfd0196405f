"""The report as files."""

import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from graftline.errors import CannotRunError, UserError
from graftline.report.files import check_report_path, read_report, save_report, write_report
from graftline.report.markdown import to_markdown
from graftline.report.model import Report, to_json
from graftline.store import RunFolder, repository_store

MakeReport = Callable[[str], Report]


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return repository_store(tmp_path, "/x/.git").run("11111111-1111-4111-8111-111111111111")


def test_report_is_kept_privately_in_both_forms(make_report: MakeReport, run: RunFolder) -> None:
    report = make_report("é")
    assert read_report(run) is None
    save_report(make_report("earlier"), run)
    save_report(report, run)
    assert read_report(run) == report
    assert run.report_markdown.read_text(encoding="utf-8") == to_markdown(report)
    assert {path.name: stat.S_IMODE(path.stat().st_mode) for path in run.path.iterdir()} == {
        "report.json": 0o600,
        "report.md": 0o600,
    }


def test_report_that_another_version_wrote_is_named(run: RunFolder) -> None:
    run.path.mkdir(parents=True)
    run.report_json.write_text('{"run": "x"}')
    with pytest.raises(UserError, match=r"report\.json is not a report this graftline can read"):
        read_report(run)


def test_form_follows_the_ending(make_report: MakeReport, tmp_path: Path) -> None:
    report = make_report("é")
    write_report(report, tmp_path / "out.json")
    write_report(report, tmp_path / "out.md")
    assert (tmp_path / "out.json").read_text(encoding="utf-8") == to_json(report)
    assert (tmp_path / "out.md").read_text(encoding="utf-8") == to_markdown(report)


def test_place_that_cannot_be_is_refused_beforehand(tmp_path: Path) -> None:
    check_report_path(tmp_path / "out.md")
    with pytest.raises(UserError, match=r"must end in \.json or \.md"):
        check_report_path(tmp_path / "out.html")
    with pytest.raises(UserError, match="there is no folder"):
        check_report_path(tmp_path / "missing" / "out.md")


def test_place_that_cannot_be_written_is_named(make_report: MakeReport, tmp_path: Path) -> None:
    with pytest.raises(CannotRunError, match=r"missing/out\.md: No such file"):
        write_report(make_report("x"), tmp_path / "missing" / "out.md")
    (tmp_path / "out.md").mkdir()
    with pytest.raises(CannotRunError, match=r"out\.md: Is a directory"):
        write_report(make_report("x"), tmp_path / "out.md")
