"""Stopping a run from another terminal and going on with it: nothing is paid for twice, and what lands was tested."""

import json
import resource
import shlex
import time
from collections import Counter
from pathlib import Path

import httpx
import pytest

from graftline.journal import FORMAT
from graftline.lease import holder_of
from graftline.report.files import read_report
from graftline.report.model import RunState
from graftline.server import read_address
from graftline.store import RunFolder, find_runs, repository_store
from tests.cli.conftest import SECONDS, Meeting, Project, Step, finish, read_until, shell, write
from tests.prefect_api import api_at

pytestmark = pytest.mark.prefect

FIVE = ("one", "two", "three", "four", "five")


def runs(project: Project) -> list[RunFolder]:
    """The project's runs, latest first."""
    return find_runs(repository_store(project.state_dir, str((project.path / ".git").resolve())))


def counted(project: Project, task: str, *steps: Step) -> list[Step]:
    """What an agent does, after it has counted its call."""
    return [shell(f"echo {task} >> {shlex.quote(str(project.outside / 'calls'))}"), *steps]


def calls(project: Project) -> Counter[str]:
    """How often each agent was called."""
    return Counter((project.outside / "calls").read_text().split())


def prefect_state(project: Project, run: RunFolder) -> tuple[object, set[object]]:
    """What Prefect says of a run, and of all its task runs."""
    address = read_address(project.state_dir)
    assert address is not None
    with api_at(address.api_url) as api:
        task_runs = api.rows("task_runs", {"flow_runs": {"id": {"any_": [run.id]}}})
        return api.get(f"flow_runs/{run.id}")["state_type"], {one["state_type"] for one in task_runs}


def events_of(project: Project, run: RunFolder, name: str) -> list[object]:
    """The thresholds that the events of a name tell of a run, once there are any: the server records them late."""
    address = read_address(project.state_dir)
    assert address is not None
    wanted = {"filter": {"event": {"name": [name]}, "resource": {"id": [f"graftline.run.{run.id}"]}}}
    deadline = time.monotonic() + SECONDS
    while not (found := httpx.post(f"{address.api_url}/events/filter", json=wanted).json().get("events")):
        assert time.monotonic() < deadline, f"no event {name}"
        time.sleep(0.2)
    return [{key: event["payload"][key] for key in ("warn_usd", "max_usd")} for event in found]


def set_prefect_state(project: Project, run: RunFolder, kind: str) -> None:
    """Have Prefect say of a run what it did not find out from it."""
    address = read_address(project.state_dir)
    assert address is not None
    body = {"state": {"type": kind}, "force": True}
    assert (
        httpx.post(f"{address.api_url}/flow_runs/{run.id}/set_state", json=body, timeout=SECONDS).json()["status"]
        == "ACCEPT"
    )


def test_once_its_cause_is_removed_only_what_failed_is_called_again_and_all_lands_where_the_target_is_now(
    served_project: Project, tmp_path: Path
) -> None:
    cause = served_project.outside / "cause"
    cause.touch()
    script = {task: counted(served_project, task, write(f"{task}.txt")) for task in FIVE}
    script["three"].append(shell(f"test ! -e {shlex.quote(str(cause))}"))
    served_project.write_plan([{"id": task, "writes": [f"{task}.txt"]} for task in FIVE], script)
    first = served_project.run("run", served_project.plan, GRAFTLINE_COST__WARN_USD="0.03")
    (folder,) = runs(served_project)
    header = folder.header()
    assert (first.code, header is not None) == (1, True)
    assert header is not None
    assert f"Go on: graftline resume {header.name}" in first.stdout
    assert events_of(served_project, folder, "graftline.cost.warning") == [{"warn_usd": 0.03, "max_usd": 5.0}]
    on_branch = served_project.git("rev-parse", f"graftline/{header.name}")

    # Between the two, a person works on the target and gives the run more money.
    (served_project.path / "src" / "notes.txt").write_text("one\ntwo\n")
    served_project.git("commit", "-qam", "A person's own work")
    theirs = served_project.git("rev-parse", "main")
    (served_project.path / "graftline.toml").write_text(
        (served_project.path / "graftline.toml").read_text() + "[cost]\nmax_usd = 9.0\n"
    )
    served_project.git("commit", "-qam", "More money")
    records = {path: path.read_bytes() for path in folder.path.rglob("*") if path.is_file()}
    shown = served_project.run("resume", "--dry-run", "--yes", header.name[:-3])
    assert (shown.code, calls(served_project)) == (0, Counter(FIVE))
    assert "\nReused  one, two, four, five: no agent is called for what is finished\nCalled  three\n" in shown.stderr
    assert "Spent   $0.05, of a cap of $5.00\n" in shown.stderr
    assert "Changed cost.max_usd was 5.0 and is 9.0; taken over\n" in shown.stderr
    changed = {path.name for path, content in records.items() if path.read_bytes() != content}
    assert changed <= {"lease.json"}

    cause.unlink()
    refused = served_project.run("resume", folder.id, "--max-cost", "-1")
    assert (refused.code, "--max-cost -1.0: Input should be greater than" in refused.stderr) == (2, True)
    second = served_project.run("resume", folder.id, "--max-cost", "7", cwd=tmp_path)

    assert second.code == 0, second.stderr
    assert "Spent   $0.05, of a cap of $7.00\n" in second.stderr
    assert "Changed cost.warn_usd was 0.03 and is 3.0; not taken over (--yes would)\n" in second.stderr
    assert "Changed cost.max_usd" not in second.stderr, "it is what was asked for"
    assert calls(served_project) == Counter([*FIVE, "three"])
    names = served_project.git("ls-tree", "--name-only", "main").split()
    assert set(names) == {*(f"{task}.txt" for task in FIVE), "graftline.toml", "src"}
    assert served_project.git("show", "main:src/notes.txt") == "one\ntwo"
    assert served_project.git("merge-base", theirs, "main") == theirs
    report = read_report(folder)
    assert report is not None
    landed = served_project.git("rev-parse", "main")
    assert (report.state, report.landed_commit) == (RunState.LANDED, landed)
    assert report.tested_tree == served_project.git("rev-parse", "main^{tree}"), (
        "what landed was tested where it landed"
    )
    assert landed != on_branch
    assert served_project.git("branch", "--format=%(refname:short)") == "main", "the first result's branch is gone"
    assert [len(task.attempts) for task in report.tasks] == [1, 1, 2, 1, 1]
    cost = json.loads(folder.pinned.read_text())["settings"]["cost"]
    assert (cost["max_usd"], cost["warn_usd"]) == (7.0, 0.03)


def test_a_run_is_stopped_from_another_terminal_and_gone_on_with(served_project: Project) -> None:
    meeting = Meeting.at(served_project.outside)
    script = {"done": counted(served_project, "done", write("done.txt")), "works": counted(served_project, "works")}
    script["works"] += [write("half.txt"), meeting.step, write("whole.txt")]
    served_project.write_plan([{"id": "done"}, {"id": "works", "depends_on": ["done"]}], script)
    process = served_project.start("run", served_project.plan)
    meeting.wait()
    (folder,) = runs(served_project)
    holder = holder_of(folder.path)
    assert holder is not None

    refused = served_project.run("resume")
    assert (refused.code, holder.pid) == (2, process.pid)
    assert f"is being carried out by process {process.pid} on {holder.host}, since " in refused.stderr
    # As who starts a deployment's runs tells, late, of an earlier process of this one that was killed.
    set_prefect_state(served_project, folder, "CRASHED")
    stopped = served_project.run("abort")
    ended = finish(process)

    assert (stopped.code, ended.code) == (0, 1), stopped.stderr + ended.stderr
    assert "has ended: cancelled: cancelled by request; nothing landed; what was finished is kept" in stopped.stderr
    report = read_report(folder)
    assert report is not None
    assert (report.state, [kept.task for kept in report.salvage]) == (RunState.CANCELLED, ["works"])
    state, task_states = prefect_state(served_project, folder)
    assert state == "CANCELLED"
    assert task_states <= {"COMPLETED", "FAILED", "CRASHED", "CANCELLED"}
    again = served_project.run("abort")
    assert (again.code, "does not go on: cancelled" in again.stderr) == (0, True)

    # As somebody's Retry in Prefect's UI leaves it, where no worker comes for it.
    set_prefect_state(served_project, folder, "SCHEDULED")
    process = served_project.start("resume", "--json")
    meeting.wait()
    meeting.release()
    resumed = finish(process)
    assert resumed.code == 0, resumed.stderr
    assert json.loads(resumed.stdout)["state"] == "landed"
    assert calls(served_project) == Counter(["done", "works", "works"])
    assert served_project.git("show", "main:whole.txt") == "content"
    assert prefect_state(served_project, folder)[0] == "COMPLETED"


def test_a_run_whose_server_does_not_answer_is_stopped_by_a_signal(served_project: Project) -> None:
    meeting = Meeting.at(served_project.outside)
    served_project.write_plan([{"id": "works"}], {"works": [write("half.txt"), meeting.step]})
    process = served_project.start("run", served_project.plan)
    meeting.wait()
    stopped = served_project.run("abort", PREFECT_API_URL="http://127.0.0.1:9/api")
    ended = finish(process)

    assert (stopped.code, ended.code) == (0, 143), stopped.stderr
    assert f"Telling process {process.pid} to end" in stopped.stderr
    assert "has ended: cancelled: ended by a signal; nothing landed; what was finished is kept" in stopped.stderr
    (folder,) = runs(served_project)
    report = read_report(folder)
    assert report is not None
    assert [kept.task for kept in report.salvage] == ["works"]


def test_a_full_disk_ends_a_run_clearly_and_it_goes_on_once_there_is_room(served_project: Project) -> None:
    meeting = Meeting.at(served_project.outside)
    script = {"done": counted(served_project, "done", write("done.txt")), "works": counted(served_project, "works")}
    script["works"] += [write("half.txt"), meeting.step]
    served_project.write_plan([{"id": "done"}, {"id": "works", "depends_on": ["done"]}], script)
    process = served_project.start("run", served_project.plan)
    meeting.wait()
    (folder,) = runs(served_project)
    # From here on no file of this process grows beyond what the journal has: its next line does not fit.
    size = folder.journal.stat().st_size
    resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (size, size))
    meeting.release()
    ended = finish(process)

    assert ended.code == 3, ended.stderr
    assert f"graftline: cannot write {folder.journal}: " in ended.stderr
    assert "Make room there" in ended.stderr
    assert "Traceback" not in ended.stderr
    assert served_project.git("log", "--format=%s", "main") == "first"
    meeting.go_on.unlink()
    meeting.go_on.mkdir()  # the agent does not wait any more
    served_project.write_script({"works": counted(served_project, "works", write("whole.txt"))})
    resumed = served_project.run("resume")
    assert resumed.code == 0, resumed.stderr
    assert calls(served_project)["done"] == 1
    assert served_project.git("show", "main:whole.txt") == "content"


def test_a_run_of_a_newer_graftline_is_refused_and_stops_no_other(served_project: Project) -> None:
    meeting = Meeting.at(served_project.outside)
    served_project.write_plan([{"id": "only"}], {"only": [meeting.step]})
    process = served_project.start("run", served_project.plan)
    read_until(process, "only: started")
    meeting.wait()
    process.kill()
    finish(process)
    (folder,) = runs(served_project)
    journal = folder.journal.read_text()
    folder.journal.write_text(journal.replace(f'"format":{FORMAT}', '"format":999', 1))

    refused = served_project.run("resume", folder.id)
    assert (refused.code, "was written by a newer graftline (journal format 999" in refused.stderr) == (2, True)
    served_project.write_script({"only": [write("new.txt")]})
    other = served_project.run("run", served_project.plan)
    assert other.code == 0, other.stderr
    assert f"run {folder.id} died, and what it left cannot be looked after: " in other.stderr
    folder.journal.write_text(journal)
    looked_after = served_project.run("status", folder.id)
    assert looked_after.code == 0
    assert "ended what it left running: agent of only" in looked_after.stderr
