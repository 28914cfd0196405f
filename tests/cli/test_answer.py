"""A person at a terminal answers what an agent asked, also after the run was killed meanwhile."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from subprocess import Popen

import pytest
import yaml

from graftline.report.model import Report
from tests.cli.conftest import Project, Step, finish, read_until

pytestmark = pytest.mark.prefect

QUESTION = "STUCK: left or right?"


def configure(project: Project) -> None:
    """A task that asks in its first attempt, and one that depends on it."""
    project.write_plan([{"id": "asks"}, {"id": "after", "depends_on": ["asks"]}], {})
    knows: Step = {"run": ["sh", "-ec", 'grep -qxF "To the left." "$GRAFTLINE_TASK_PROMPT_FILE"']}
    write: Step = {"write": {"path": "left.txt", "text": "left\n"}}
    script = {
        "asks": {1: [{"say": QUESTION}], 2: [knows, write]},
        "after": [{"edit": {"path": "left.txt", "old": "left", "new": "LEFT"}}],
    }
    (project.outside / "script.yaml").write_text(yaml.safe_dump({"tasks": script}))


@contextmanager
def asking(project: Project, *arguments: str) -> Iterator["Popen[str]"]:
    """A run that waits for an answer."""
    run = project.start(*arguments)
    try:
        read_until(run, "asks: asks a person: left or right?")
        yield run
    finally:
        run.kill()


def test_a_question_is_shown_with_its_command_survives_a_kill_and_is_answered(served_project: Project) -> None:
    project = served_project
    configure(project)
    with asking(project, "run", str(project.plan)) as run:
        shown = project.run("status").stdout
        report = Report.model_validate_json(project.run("status", "--json").stdout)
        name = report.run
        mistaken = project.run("answer", name, "after", "To the left.")
        run.send_signal(signal.SIGKILL)
        finish(run)
    too_late = project.run("answer", name, "asks", "To the left.")
    with asking(project, "resume") as run:
        empty = project.run("answer", name, "asks", " ")
        answered = project.run("answer", name, "asks", "To the left.")
        ended = finish(run)

    assert "Question: asks: left or right?" in shown
    assert f"Answer: graftline answer {name} asks 'ANSWER'" in shown
    assert [(one.task, one.question) for one in report.questions] == [("asks", "left or right?")]
    assert (mistaken.code, too_late.code, empty.code) == (2, 2, 2)
    assert f"no question of task 'after' waits for an answer in run {name}; questions of asks wait" in mistaken.stderr
    assert "no question of task 'asks' waits for an answer" in too_late.stderr
    assert (answered.code, answered.stderr.splitlines()[-1]) == (0, "Answered asks: left or right?")
    assert ended.code == 0, ended.stderr
    assert project.git("show", "main:left.txt") == "LEFT"
    calls = Report.model_validate_json(project.run("status", "--json").stdout).tasks[0].attempts
    assert [call.outcome.value for call in calls] == ["stuck", "ok"]
