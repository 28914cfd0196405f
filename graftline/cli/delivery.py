"""The end of a command that carries out a run: the report, on the terminal, as JSON or in a file."""

import contextlib
import sys
from pathlib import Path

from graftline.cli.board import open_board
from graftline.cli.console import stdout_console
from graftline.cli.launch import Launch
from graftline.errors import ExitCode
from graftline.report.files import write_report
from graftline.report.model import Report, exit_code, to_json
from graftline.report.terminal import print_report


def carry_out(launch: Launch, *, as_json: bool, report: Path | None, keep_server: bool) -> int:
    """Carry out a run and deliver its report; the process's exit code.

    The report is delivered however the run ends; what ended it early is raised afterwards.
    """
    try:
        with open_board(quiet=as_json) as board:
            launch.carry_out(board, keep_server=keep_server)
    finally:
        written = launch.report()
        if written is not None:
            deliver(written, as_json=as_json, file=report)
    return ExitCode.DEFECT if written is None else exit_code(written)


def deliver(report: Report, *, as_json: bool, file: Path | None) -> None:
    """Show the report, and write it where the person asked for it; that nobody reads it changes no exit code."""
    if as_json:
        with contextlib.suppress(BrokenPipeError):
            sys.stdout.write(to_json(report))
            sys.stdout.flush()
    else:
        print_report(report, stdout_console())
    if file is not None:
        write_report(report, file)
