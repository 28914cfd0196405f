"""A stand-in for the Claude Code CLI in tests of flows: it does what a script says, and ends as the script says.

    claude.py FOLDER …        the CLI's own arguments follow; the script is FOLDER/script.json

The script maps a task's id, or `heal ID`, to its calls, of which the last is made again and again. A call is a list of
files to write, then how it ends. What each call was given is appended to FOLDER/calls as JSON.
"""

import json
import os
import pathlib
import signal
import sys

ENDINGS = {
    "ok": {"subtype": "success", "is_error": False, "result": "All done.", "total_cost_usd": 0.25, "num_turns": 2},
    "overloaded": {
        "subtype": "success",
        "is_error": True,
        "api_error_status": 529,
        "result": "API Error: 529 Overloaded",
        "total_cost_usd": 0.125,
        "num_turns": 1,
    },
    "max-turns": {
        "subtype": "error_max_turns",
        "is_error": True,
        "total_cost_usd": 0.5,
        "num_turns": 9,
    },
    "lost": {"subtype": "error_during_execution", "is_error": True, "errors": ["No conversation found"]},
    "auth": {
        "subtype": "success",
        "is_error": True,
        "api_error_status": 401,
        "result": "Invalid API key",
        "total_cost_usd": 0.0,
    },
}


def main() -> None:
    """Make one call."""
    folder, *arguments = sys.argv[1:]
    if "--version" in arguments:
        print("2.1.329 (Claude Code)")  # noqa: T201  stdout is how a CLI talks
        return
    prompt = sys.stdin.read()
    role = "heal " if os.environ["GRAFTLINE_TASK_ROLE"] == "heal" else ""
    name = role + os.environ["GRAFTLINE_TASK_ID"]
    log = pathlib.Path(folder, "calls")
    calls = [json.loads(line)["name"] for line in log.read_text().splitlines()] if log.exists() else []
    given = {
        "name": name,
        "argv": arguments,
        "prompt": prompt,
        "cwd": str(pathlib.Path.cwd()),
        "home": os.environ["HOME"],
    }
    with log.open("a") as file:
        file.write(json.dumps(given) + "\n")
    script = json.loads(pathlib.Path(folder, "script.json").read_text())[name]
    *files, ending = script[min(calls.count(name), len(script) - 1)]
    session = arguments[arguments.index("--resume" if "--resume" in arguments else "--session-id") + 1]
    tell({"type": "system", "subtype": "init", "session_id": session, "model": "m", "claude_code_version": "2.1.329"})
    for path in files:
        pathlib.Path(path).write_text(f"{path}\n")
        tell({"type": "assistant", "message": {"content": [{"type": "text", "text": f"wrote {path}"}]}})
    if ending == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    tell({"type": "result", "session_id": session, **ENDINGS[ending]})


def tell(event: dict[str, object]) -> None:
    """Print an event."""
    print(json.dumps(event), flush=True)  # noqa: T201  as above


if __name__ == "__main__":
    main()
