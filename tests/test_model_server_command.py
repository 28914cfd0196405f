"""The command that serves a scenario file."""

import http.client
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_the_command_prints_its_url_serves_the_file_and_ends_on_sigterm(tmp_path: Path) -> None:
    (tmp_path / "scenario.yaml").write_text("default: {text: from the file}")
    argv = [sys.executable, "-m", "tests.model_server", str(tmp_path / "scenario.yaml")]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            connection = http.client.HTTPConnection(process.stdout.readline().strip().removeprefix("http://"))
            body = {"model": "m", "messages": [], "tools": [{"name": "Bash"}]}
            connection.request("POST", "/v1/messages", json.dumps(body))
            answer = json.loads(connection.getresponse().read())
            connection.close()
        finally:
            process.send_signal(signal.SIGTERM)

    assert answer["content"][0]["text"] == "from the file"
    assert process.returncode == 0
