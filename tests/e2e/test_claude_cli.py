"""The real Claude Code CLI against the scripted model: what graftline's use of that CLI relies on, seen end to end."""

import json
import os
import signal
import subprocess
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict

from tests.model_server import Ending, ModelServer, RequestRecord

pytestmark = pytest.mark.cli

# Far more than a run takes; it only keeps a CLI that hangs from hanging the suite.
PATIENCE_SECONDS = 120

# US dollars per token of the model below, from the CLI's own price list: it works out the cost from these.
MODEL = "claude-sonnet-4-5"
INPUT_USD, OUTPUT_USD, CACHE_READ_USD = 3e-6, 15e-6, 0.3e-6

WRITE_EDIT_COMMIT = """
scenarios:
  - match: TASK-ADD
    turns:
      - text: I write the module first.
        tools:
          - write: {path: add.py, content: "def add(a, b):\\n    return a + b\\n"}
          - edit: {path: README.md, old: hello, new: hello and add}
        usage: {input_tokens: 1200, output_tokens: 80}
      - tools: [{bash: git add -A && git commit -qm 'Add add' && git log --format=%s -1}]
        usage: {input_tokens: 300, output_tokens: 40, cache_read_tokens: 1000}
      - text: add.py is written and committed.
        usage: {input_tokens: 100, output_tokens: 20, cache_read_tokens: 1500}
"""


class ResultEvent(BaseModel):
    """The fields of the CLI's last event that graftline reads."""

    model_config = ConfigDict(extra="ignore")

    subtype: str
    is_error: bool
    api_error_status: int | None = None
    result: str = ""
    num_turns: int
    session_id: str
    total_cost_usd: float
    structured_output: dict[str, str] | None = None


@dataclass(frozen=True)
class Ended:
    """How the CLI ended; `result` is None when it ended without its last event."""

    status: int
    event_types: tuple[str, ...]
    result: ResultEvent | None
    stderr: str


@dataclass(frozen=True)
class Claude:
    """Starts the CLI the way graftline does: headless, with an environment and a home of its own."""

    binary: Path
    home: Path
    server: ModelServer

    def start(
        self, cwd: Path, prompt: str, *options: str, session: str = "", **variables: str
    ) -> subprocess.Popen[str]:
        """Start it on a prompt, in a session of its own."""
        environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "CLAUDE_CONFIG_DIR": str(self.home / ".claude"),
            "ANTHROPIC_BASE_URL": self.server.url,
            "ANTHROPIC_API_KEY": "sk-scripted",
            "IS_SANDBOX": "1",  # as root it refuses to skip permissions otherwise
            "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
            "CLAUDE_CODE_DISABLE_AUTO_MEMORY": "1",
            "CLAUDE_CODE_MAX_RETRIES": "2",
            "DISABLE_AUTOUPDATER": "1",
            "GIT_AUTHOR_NAME": "Agent",
            "GIT_AUTHOR_EMAIL": "agent@example.com",
            "GIT_COMMITTER_NAME": "Agent",
            "GIT_COMMITTER_EMAIL": "agent@example.com",
            "LANG": "C.UTF-8",
            "TERM": "dumb",
            **variables,
        }
        argv = [str(self.binary), "-p", "--output-format", "stream-json", "--verbose", "--model", MODEL]
        argv += ["--session-id", session or str(uuid.uuid4()), "--max-turns", "80", "--setting-sources", "user"]
        argv += ["--strict-mcp-config", "--dangerously-skip-permissions", *options]
        process = subprocess.Popen(
            argv,
            cwd=cwd,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )
        assert process.stdin is not None
        process.stdin.write(prompt)
        process.stdin.close()
        process.stdin = None  # or `communicate` would flush it again
        return process

    def run(self, cwd: Path, prompt: str, *options: str, session: str = "", **variables: str) -> Ended:
        """Run it to its end."""
        return ended(self.start(cwd, prompt, *options, session=session, **variables))


def ended(process: subprocess.Popen[str]) -> Ended:
    """Wait for the CLI and read its events."""
    try:
        stdout, stderr = process.communicate(timeout=PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        stdout, stderr = process.communicate()
    events = [json.loads(line) for line in stdout.splitlines()]
    results = [ResultEvent.model_validate(event) for event in events if event["type"] == "result"]
    types = tuple(":".join(filter(None, (event["type"], event.get("subtype")))) for event in events)
    return Ended(process.returncode, types, results[-1] if results else None, stderr)


def result_of(run: Ended) -> ResultEvent:
    """The result event, or the reason why there is none."""
    assert run.result is not None, f"no result event; exit status {run.status}, stderr: {run.stderr}"
    return run.result


def git(cwd: Path, *arguments: str) -> str:
    """What git says in the agent's repository."""
    return subprocess.run(["git", *arguments], cwd=cwd, check=True, capture_output=True, text=True).stdout.strip()


def has_come_to(namespace: str, *, turn: int) -> Callable[[RequestRecord], bool]:
    """Whether a request is that turn's, from the agent with that namespace."""
    return lambda record: (record.namespace, record.turn) == (namespace, turn)


@pytest.fixture
def claude(claude_binary: Path, tmp_path: Path, model_server: ModelServer) -> Claude:
    """The CLI with a fresh home, talking to the test's own model."""
    home = tmp_path / "agent-home"
    home.mkdir()
    return Claude(claude_binary, home, model_server)


def test_claude_writes_edits_and_commits(
    claude: Claude, model_server: ModelServer, make_repository: Callable[..., Path]
) -> None:
    repository = make_repository()
    model_server.scenario(WRITE_EDIT_COMMIT)
    session = str(uuid.uuid4())

    run = claude.run(repository, "Please do TASK-ADD.", session=session)

    result = result_of(run)
    assert (run.status, result.subtype, result.is_error) == (0, "success", False)
    assert (result.result, result.session_id) == ("add.py is written and committed.", session)
    assert git(repository, "log", "--format=%s by %an", "-1") == "Add add by Agent"
    assert git(repository, "show", "HEAD:add.py") == "def add(a, b):\n    return a + b"
    assert git(repository, "show", "HEAD:README.md") == "hello and add"
    assert git(repository, "status", "--porcelain") == ""
    answers = [record for record in model_server.requests() if record.scenario]
    assert [(answer.turn, answer.ending) for answer in answers] == [(n, Ending.ANSWERED) for n in range(3)]
    assert answers[2].last_tool_result.splitlines()[0] == "Add add"  # below it the CLI may add a reminder
    assert {answer.api_key for answer in answers} == {"sk-scripted"}


def test_the_cost_claude_reports_is_the_price_of_the_tokens_it_was_told(
    claude: Claude, model_server: ModelServer, make_repository: Callable[..., Path]
) -> None:
    model_server.scenario(WRITE_EDIT_COMMIT)

    result = result_of(claude.run(make_repository(), "TASK-ADD"))

    used = [record.usage for record in model_server.requests() if record.usage]
    expected = sum(
        usage.input_tokens * INPUT_USD + usage.output_tokens * OUTPUT_USD + usage.cache_read_tokens * CACHE_READ_USD
        for usage in used
    )
    assert expected > 0
    assert result.total_cost_usd == pytest.approx(expected)


def test_claude_waits_out_a_rate_limit_and_then_succeeds(
    claude: Claude, model_server: ModelServer, make_repository: Callable[..., Path]
) -> None:
    model_server.scenario(
        "scenarios: [{match: TASK, turns: [{error: rate_limit, times: 1, retry_after_seconds: 0, text: done}]}]"
    )

    run = claude.run(make_repository(), "TASK")

    assert result_of(run).result == "done"
    assert "system:api_retry" in run.event_types
    endings = [(record.ending, record.failure_status) for record in model_server.requests() if record.scenario]
    assert endings == [(Ending.FAILED, 429), (Ending.ANSWERED, None)]


def test_a_refused_key_ends_claude_with_an_error_and_no_cost(
    claude: Claude, model_server: ModelServer, make_repository: Callable[..., Path]
) -> None:
    model_server.scenario("scenarios: [{match: TASK, turns: [{error: auth}]}]")

    run = claude.run(make_repository(), "TASK", CLAUDE_CODE_MAX_RETRIES="0")

    result = result_of(run)
    # "success" is what the CLI calls it: only `is_error` and the status tell.
    assert (run.status, result.subtype, result.is_error, result.api_error_status) == (1, "success", True, 401)
    assert result.total_cost_usd == 0
    assert all(record.ending is Ending.FAILED for record in model_server.requests())


def test_claude_falls_back_to_a_plain_request_when_the_stream_is_cut(
    claude: Claude, model_server: ModelServer, make_repository: Callable[..., Path]
) -> None:
    model_server.scenario("scenarios: [{match: TASK, turns: [{drop: true, times: 1, text: done}]}]")

    run = claude.run(make_repository(), "TASK")

    assert (run.status, result_of(run).result) == (0, "done")
    requests = [(record.request.stream, record.ending) for record in model_server.requests() if record.scenario]
    assert requests == [(True, Ending.DROPPED), (False, Ending.ANSWERED)]


def test_claude_ends_on_sigterm_while_the_model_hangs(
    claude: Claude, model_server: ModelServer, make_repository: Callable[..., Path]
) -> None:
    model_server.scenario("scenarios: [{match: TASK, turns: [{hang: true}]}]")
    process = claude.start(make_repository(), "TASK")
    model_server.wait_for(lambda record: record.ending is Ending.HANGING, timeout_seconds=PATIENCE_SECONDS)

    os.killpg(process.pid, signal.SIGTERM)

    run = ended(process)
    assert (run.status, run.result) == (143, None)
    model_server.wait_for(lambda record: record.ending is Ending.CLIENT_GONE, timeout_seconds=PATIENCE_SECONDS)


def test_claude_stops_at_the_budget_and_overshoots_by_one_turn(
    claude: Claude, model_server: ModelServer, make_repository: Callable[..., Path]
) -> None:
    model_server.scenario(
        """
        scenarios:
          - match: TASK
            turns:
              - {tools: [{bash: "true"}], usage: {output_tokens: 20000}}
              - {tools: [{bash: "true"}], usage: {output_tokens: 20000}}
              - {text: never said}
        """
    )

    run = claude.run(make_repository(), "TASK", "--max-budget-usd", "0.50")

    result = result_of(run)
    assert (run.status, result.subtype, result.is_error) == (1, "error_max_budget_usd", True)
    assert 0.50 < result.total_cost_usd < 0.50 + 20000 * OUTPUT_USD + 0.01
    assert [record.turn for record in model_server.requests() if record.scenario] == [0, 1]


def test_claude_returns_structured_output(
    claude: Claude, model_server: ModelServer, make_repository: Callable[..., Path]
) -> None:
    schema = {"type": "object", "properties": {"verdict": {"type": "string"}}, "required": ["verdict"]}
    model_server.scenario("scenarios: [{match: TASK, turns: [{structured: {verdict: fine}}, {text: done}]}]")

    result = result_of(claude.run(make_repository(), "TASK", "--json-schema", json.dumps(schema)))

    assert result.structured_output == {"verdict": "fine"}


def test_agents_with_urls_of_their_own_are_told_apart(
    claude: Claude, model_server: ModelServer, make_repository: Callable[..., Path]
) -> None:
    model_server.scenario(
        """
        scenarios:
          - match: {regex: "TASK-(?P<name>[a-z]+)"}
            turns:
              - {tools: [{write: {path: "${name}.txt", content: "by ${name}\\n"}}]}
              - {hold: together, text: "${name} is done"}
        """
    )
    repositories = {name: make_repository(name=name) for name in ("first", "second")}
    running = {
        name: claude.start(folder, f"TASK-{name}", ANTHROPIC_BASE_URL=model_server.url_for(name))
        for name, folder in repositories.items()
    }
    for name in running:
        model_server.wait_for(has_come_to(name, turn=1), timeout_seconds=PATIENCE_SECONDS)

    model_server.open_gate("together")

    for name, process in running.items():
        assert result_of(ended(process)).result == f"{name} is done"
        assert (repositories[name] / f"{name}.txt").read_text() == f"by {name}\n"
