"""A person at a terminal approves a plan: at the prompt, or by a command from another terminal."""

import os
import pty
import select
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from time import monotonic

import pytest

from graftline.cli.approval_prompt import AGAIN, CHOICES
from graftline.cli.resume import check_not_suspended
from graftline.errors import UserError
from graftline.journal import EventKind, Journal
from graftline.report.model import Report
from graftline.store import RunFolder
from tests.cli.conftest import SECONDS, Project, finish, read_until, shell, write

pytestmark = pytest.mark.prefect

EDITOR = """
import pathlib, sys
plan, edits = pathlib.Path(sys.argv[1]), pathlib.Path(__file__).with_name("edits")
edits.touch()
number = len(edits.read_text())
edits.write_text("e" * (number + 1))
text, section = plan.read_text(), "\\n## nobody\\n"
plan.write_text(text.replace(section, "").replace("do only", "do other") if number else text + section)
"""


class Terminal:
    """`graftline` with a terminal of its own, at which a test types."""

    def __init__(self, project: Project, *arguments: str, **variables: str) -> None:
        self.said = ""
        self._seen = 0
        self._has_ended = False
        self._pid, self._descriptor = pty.fork()
        if self._pid == 0:
            os.chdir(project.path)
            command = [sys.executable, "-m", "graftline", *arguments]
            os.execve(sys.executable, command, {**project.env(variables), "TERM": "xterm", "COLUMNS": "200"})  # noqa: S606

    def wait_for(self, text: str) -> str:
        """What is shown from the last such wait on, up to a text."""
        deadline = monotonic() + SECONDS
        while text not in self.said[self._seen :]:
            assert monotonic() < deadline, self.said
            assert self._read(), self.said
        begin, self._seen = self._seen, self.said.index(text, self._seen) + len(text)
        return self.said[begin : self._seen]

    def type(self, line: str) -> None:
        """Type a line."""
        os.write(self._descriptor, f"{line}\n".encode())

    def finish(self) -> int:
        """The exit code, once it has ended."""
        while self._read():
            pass
        self._has_ended = True
        return os.waitstatus_to_exitcode(os.waitpid(self._pid, 0)[1])

    def close(self) -> None:
        """Leave nothing running."""
        if not self._has_ended:
            os.kill(self._pid, signal.SIGKILL)
            os.waitpid(self._pid, 0)
        os.close(self._descriptor)

    def _read(self) -> bool:
        assert select.select([self._descriptor], [], [], SECONDS)[0], self.said
        try:
            part = os.read(self._descriptor, 65_536)
        except OSError:  # nobody has the other end any more
            return False
        self.said += part.decode(errors="replace")
        return bool(part)


@pytest.fixture
def editor(served_project: Project) -> str:
    """An editor that breaks a plan the first time, and mends and changes it the second time."""
    file = served_project.outside / "editor.py"
    file.write_text(EDITOR)
    return f"{shlex.quote(sys.executable)} {shlex.quote(str(file))}"


def test_a_plan_is_edited_at_the_prompt_until_it_holds_and_approved_there(served_project: Project, editor: str) -> None:
    project = served_project
    was_told = shell('grep -qxF "do other" "$GRAFTLINE_TASK_PROMPT_FILE"')
    plan = project.write_plan([{"id": "only"}], {"only": [was_told, write("new.txt")]})
    terminal = Terminal(project, "run", str(plan), "--approve", EDITOR=editor)
    try:
        terminal.wait_for(CHOICES)
        terminal.type("what")
        terminal.wait_for(CHOICES)
        terminal.type("e")
        problems = terminal.wait_for(AGAIN)
        terminal.type("")
        shown = terminal.wait_for(CHOICES)
        terminal.type("a")
        code = terminal.finish()
    finally:
        terminal.close()

    assert "the heading `## nobody` names no task" in problems
    assert "A plan: 1 task" in shown
    assert code == 0, terminal.said
    assert project.git("show", "main:new.txt") == "content"


def test_a_plan_waits_for_a_command_which_may_bring_another_plan(served_project: Project) -> None:
    project = served_project
    plan = project.write_plan([{"id": "only"}], {"edited": [write("edited.txt")]})
    edited, broken = project.outside / "edited.yaml", project.outside / "broken.yaml"
    edited.write_text(plan.read_text().replace("only", "edited"))
    broken.write_text(plan.read_text().replace("prompt", "promt"))
    with waiting(project, "run", str(plan), "--approve") as run:
        report = Report.model_validate_json(project.run("status", "--json").stdout)
        name = report.run
        shown = project.run("status").stdout
        both = project.run("approve", name, "--reject", "--plan", edited)
        refused = project.run("approve", name, "--plan", broken)
        run.send_signal(signal.SIGKILL)
        finish(run)
    too_late = project.run("approve", name)
    with waiting(project, "resume") as run:
        approved = project.run("approve", name, "--plan", edited)
        ended = finish(run)

    assert report.approval is not None
    assert f"Approve: graftline approve {name}" in shown
    assert (both.code, refused.code, too_late.code) == (2, 2, 2)
    assert "promt" in refused.stderr
    assert f"nothing waits for an approval in run {name}" in too_late.stderr
    assert (approved.code, approved.stderr.splitlines()[-1]) == (0, f"Approved plan 1 of run {name}")
    assert ended.code == 0, ended.stderr
    assert project.git("show", "main:edited.txt") == "content"


def test_a_suspended_run_is_not_gone_on_with_from_a_terminal(tmp_path: Path) -> None:
    folder = RunFolder(tmp_path)
    journal = Journal.create(folder.journal, "1" * 36, "name-111111")
    journal.append(EventKind.RUN_PREPARED)
    check_not_suspended(folder)
    journal.append(EventKind.RUN_SUSPENDED, reason="plan 1 waits for a person's approval")

    with pytest.raises(UserError, match="run name-111111 is suspended until a person decides: `graftline approve name"):
        check_not_suspended(folder)


@contextmanager
def waiting(project: Project, *arguments: str) -> Iterator["subprocess.Popen[str]"]:
    """A run that waits for its approval, where nobody can be asked."""
    run = project.start(*arguments)
    try:
        read_until(run, "plan 1 waits for a person's approval: graftline approve ")
        yield run
    finally:
        run.kill()
