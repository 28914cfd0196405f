"""The promises of conftest.py: a test touches nothing of the person's, and leaves nothing running."""

import os
import socket
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

import prefect.settings
import pytest

from tests.leftovers import end_leftovers, processes_in


def test_home_and_prefects_home_are_temporary(tmp_path_factory: pytest.TempPathFactory) -> None:
    assert Path.home().is_relative_to(tmp_path_factory.getbasetemp())
    assert prefect.settings.PREFECT_HOME.value() == Path(os.environ["PREFECT_HOME"])
    # A test server of this session, or none.
    assert urlsplit(prefect.settings.PREFECT_API_URL.value() or "").hostname in {"127.0.0.1", None}


def test_reaching_for_the_network_fails_the_test() -> None:
    with socket.socket() as one, pytest.raises(pytest.fail.Exception, match="reached for the network"):
        one.connect(("192.0.2.1", 80))  # an address that is set aside for documentation


def test_loopback_is_no_network() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server, socket.create_connection(server.getsockname()) as client:
        assert client.getpeername() == server.getsockname()


def test_a_child_that_runs_on_is_found_and_ended(tmp_path: Path) -> None:
    with subprocess.Popen(["sleep", "60"], cwd="/") as child:
        assert child.pid in processes_in([tmp_path])
        assert end_leftovers([child.pid], grace_seconds=0) == [f"{child.pid}: sleep 60"]

    assert child.returncode == -9


def test_an_orphan_in_the_tests_folder_is_found_and_ended(tmp_path: Path) -> None:
    script = "sleep 60 >/dev/null 2>&1 & echo $!"
    orphan = int(subprocess.run(["sh", "-c", script], cwd=tmp_path, check=True, capture_output=True).stdout)

    assert orphan in processes_in([tmp_path])
    assert end_leftovers([orphan], grace_seconds=0) == [f"{orphan}: sleep 60"]


def test_a_process_that_has_ended_is_not_left_behind(tmp_path: Path) -> None:
    with subprocess.Popen(["cat"], cwd=tmp_path, stdin=subprocess.PIPE) as child:
        before = processes_in([tmp_path])
        child.communicate()

        assert child.pid in before
        assert child.pid not in processes_in([tmp_path])
        assert end_leftovers([child.pid]) == []
