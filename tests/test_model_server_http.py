"""The server over real connections: streams, faults, waits, and that nothing is left when it closes."""

import http.client
import json
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

import pytest

from tests.model_server import Ending, ModelServer, RequestRecord

SHELL = {"name": "Bash", "input_schema": {"type": "object", "properties": {"command": {"type": "string"}}}}
PATIENCE_SECONDS = 30


class Client:
    """Asks a server for a model's words, as a CLI would: Anthropic Messages, with a shell on offer."""

    def __init__(self, server: ModelServer, namespace: str = "") -> None:
        self._connection = http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=PATIENCE_SECONDS)
        self._prefix = f"/ns/{namespace}" if namespace else ""
        self._response: http.client.HTTPResponse | None = None

    def send(self, prompt: str, *, answers: int = 0, stream: bool = False) -> None:
        """Send a prompt with that many answers already given."""
        messages = [{"role": "user", "content": prompt}]
        for _ in range(answers):
            messages += [{"role": "assistant", "content": "x"}, {"role": "user", "content": "go on"}]
        self.post("/v1/messages", {"model": "m", "stream": stream, "messages": messages, "tools": [SHELL]})

    def post(self, path: str, body: object) -> None:
        """Send anything anywhere."""
        headers = {"content-type": "application/json", "x-api-key": "key"}
        self._connection.request("POST", self._prefix + path, json.dumps(body), headers)

    def answer(self) -> http.client.HTTPResponse:
        """The response, its body still unread."""
        self._response = self._connection.getresponse()
        return self._response

    def read(self) -> str:
        """The whole body of the response."""
        return self.answer().read().decode()

    def hang_up(self) -> None:
        """Close the connection, also under a response that is still being read."""
        if self._response is not None:
            self._response.close()
        self._connection.close()


Connect = Callable[[ModelServer], Client]


@pytest.fixture
def connect() -> Iterator[Connect]:
    """Connects clients that hang up only when the test, and the server in it, is over."""
    with ExitStack() as clients:

        def connected(server: ModelServer) -> Client:
            client = Client(server)
            clients.callback(client.hang_up)
            return client

        yield connected


def ended(ending: Ending) -> Callable[[RequestRecord], bool]:
    """Whether a request has come that far."""
    return lambda record: record.ending is ending


def ask(server: ModelServer, prompt: str, *, namespace: str = "", answers: int = 0, stream: bool = False) -> str:
    """What the server answers, on a connection of its own."""
    client = Client(server, namespace)
    try:
        client.send(prompt, answers=answers, stream=stream)
        return client.read()
    finally:
        client.hang_up()


def test_a_plain_answer_and_its_record() -> None:
    with ModelServer() as server:
        server.scenario("scenarios: [{match: TASK, turns: [{text: hello, usage: {output_tokens: 9}}]}]")

        answer = json.loads(ask(server, "TASK", namespace="an agent/1".replace(" ", "%20").replace("/", "%2F")))

        assert answer["content"] == [{"type": "text", "text": "hello"}]
        [record] = server.requests()
        assert (record.namespace, record.api_key, record.protocol) == ("an agent/1", "key", "anthropic-messages")
        assert (record.scenario, record.turn, record.ending) == ("TASK", 0, Ending.ANSWERED)
        assert record.usage is not None
        assert record.usage.output_tokens == 9
        assert "TASK" in record.text


def test_a_stream_ends_with_its_last_event() -> None:
    with ModelServer() as server:
        server.scenario("scenarios: [{match: TASK, turns: [{tools: [{bash: make}]}]}]")

        answer = ask(server, "TASK", stream=True)

        assert [line for line in answer.splitlines() if line.startswith("event: ")] == [
            "event: message_start",
            "event: content_block_start",
            "event: content_block_delta",
            "event: content_block_stop",
            "event: message_delta",
            "event: message_stop",
        ]


def test_one_connection_serves_several_requests(connect: Connect) -> None:
    with ModelServer() as server:
        client = connect(server)
        answers = []
        for _ in range(3):
            client.send("anything")
            answers.append(json.loads(client.read())["content"][0]["text"])

        assert answers == ["ok"] * 3
        # The connection is still open here: closing the server must not wait for the client to hang up.


def test_an_error_comes_with_status_and_wait(connect: Connect) -> None:
    with ModelServer() as server:
        server.scenario("scenarios: [{match: TASK, turns: [{error: rate_limit, retry_after_seconds: 3}]}]")
        client = connect(server)
        client.send("TASK", stream=True)

        response = client.answer()

        assert (response.status, response.headers["retry-after"]) == (429, "3")
        assert json.loads(response.read())["error"]["type"] == "rate_limit_error"
        assert [(record.ending, record.failure_status) for record in server.requests()] == [(Ending.FAILED, 429)]


def test_a_dropped_stream_has_a_beginning_and_no_end() -> None:
    with ModelServer() as server:
        server.scenario("scenarios: [{match: TASK, turns: [{drop: true, text: never said}]}]")

        answer = ask(server, "TASK", stream=True)

        assert "message_start" in answer
        assert "never said" not in answer
        with pytest.raises(http.client.RemoteDisconnected):
            ask(server, "TASK")
        assert [record.ending for record in server.requests()] == [Ending.DROPPED] * 2
        assert [record.usage for record in server.requests()] == [None] * 2


def test_a_stream_error_comes_after_the_beginning() -> None:
    with ModelServer() as server:
        server.scenario("scenarios: [{match: TASK, turns: [{stream_error: overloaded}]}]")

        answer = ask(server, "TASK", stream=True)

        assert answer.index("message_start") < answer.index("overloaded_error")
        assert json.loads(ask(server, "TASK"))["error"]["type"] == "overloaded_error"
        assert [record.ending for record in server.requests()] == [Ending.STREAM_FAILED, Ending.FAILED]


def test_a_hanging_answer_is_seen_and_notices_when_its_client_goes(connect: Connect) -> None:
    with ModelServer() as server:
        server.scenario("scenarios: [{match: TASK, turns: [{hang: true}]}]")
        client = connect(server)
        client.send("TASK", stream=True)
        assert client.answer().readline() == b"event: message_start\n"
        server.wait_for(ended(Ending.HANGING), timeout_seconds=PATIENCE_SECONDS)

        client.hang_up()

        gone = server.wait_for(ended(Ending.CLIENT_GONE), timeout_seconds=PATIENCE_SECONDS)
        assert gone.usage is None


def test_closing_ends_what_hangs_and_leaves_no_thread(connect: Connect) -> None:
    threads_before = set(threading.enumerate())
    server = ModelServer()
    server.scenario("scenarios: [{match: HANG, turns: [{hang: true}]}, {match: HOLD, turns: [{hold: never}]}]")
    clients = [connect(server) for _ in range(2)]
    for client, prompt in zip(clients, ("HANG", "HOLD"), strict=True):
        client.send(prompt)
    server.wait_for(ended(Ending.HANGING), timeout_seconds=PATIENCE_SECONDS)
    server.wait_for(lambda record: record.scenario == "HOLD", timeout_seconds=PATIENCE_SECONDS)

    server.close()

    assert [record.ending for record in server.requests()] == [Ending.SERVER_CLOSED] * 2
    assert set(threading.enumerate()) == threads_before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), timeout=PATIENCE_SECONDS)


def test_a_gate_holds_an_answer_until_it_is_opened() -> None:
    with ModelServer() as server, ThreadPoolExecutor() as pool:
        server.scenario("scenarios: [{match: TASK, turns: [{hold: gate, text: through}]}]")
        held = pool.submit(ask, server, "TASK")
        server.wait_for(lambda record: record.scenario == "TASK", timeout_seconds=PATIENCE_SECONDS)
        assert ended(Ending.OPEN)(server.requests()[0])

        server.open_gate("gate")

        assert "through" in held.result(PATIENCE_SECONDS)
        assert "through" in ask(server, "TASK")  # an open gate stays open


def test_a_delayed_answer_comes() -> None:
    with ModelServer() as server:
        server.scenario("scenarios: [{match: TASK, turns: [{delay_seconds: 0.01, text: late}]}]")

        assert "late" in ask(server, "TASK")


def test_waiting_for_a_request_that_does_not_come_says_what_came() -> None:
    with ModelServer() as server:
        ask(server, "anything", namespace="agent")

        with pytest.raises(TimeoutError, match="agent#0 answered"):
            server.wait_for(ended(Ending.DROPPED), timeout_seconds=0)


def test_a_step_without_a_tool_for_it_is_refused_with_the_reason(connect: Connect) -> None:
    with ModelServer() as server:
        server.scenario("scenarios: [{match: TASK, turns: [{tools: [{raw: {name: X}}, {read: a}]}]}]")
        client = connect(server)
        body = {"model": "m", "messages": [{"role": "user", "content": "TASK"}], "tools": [{"name": "Nothing"}]}
        client.post("/v1/messages", body)

        response = client.answer()

        assert response.status == 400
        assert "no tool offered can do 'read'; offered: Nothing" in response.read().decode()
        assert [record.ending for record in server.requests()] == [Ending.FAILED]


def test_tokens_are_counted_and_unknown_paths_are_not_found(connect: Connect) -> None:
    with ModelServer() as server:
        client = connect(server)
        client.post("/v1/messages/count_tokens", {"messages": ["x" * 400]})
        assert json.loads(client.read())["input_tokens"] >= 100
        client.post("/api/telemetry", {})
        assert client.answer().status == 404
        assert server.requests() == ()


def test_a_request_that_is_none_is_refused(connect: Connect) -> None:
    with ModelServer() as server:
        client = connect(server)
        client.post("/v1/chat/completions", {"messages": "none"})

        assert client.answer().status == 400


def test_the_record_has_the_results_of_all_calls_of_the_latest_answer(connect: Connect) -> None:
    with ModelServer() as server:
        client = connect(server)
        call = {"role": "assistant", "content": None}
        results = [{"role": "tool", "content": text} for text in ("old", "one", "two")]
        messages = [{"role": "user", "content": "TASK"}, call, results[0], call, *results[1:]]
        client.post("/v1/chat/completions", {"model": "m", "messages": messages})
        client.read()

        assert [record.last_tool_result for record in server.requests()] == ["one\ntwo"]


def test_twenty_agents_at_once_each_get_their_own_turns() -> None:
    agents, turns = [f"agent{number}" for number in range(20)], 5
    everybody_is_there = threading.Barrier(len(agents))
    with ModelServer() as server, ThreadPoolExecutor(len(agents)) as pool:
        server.scenario(
            {
                "scenarios": [
                    {
                        "match": {"regex": r"I am (\w+)"},
                        "turns": [{"error": "overloaded", "times": 2, "text": "${1} 0"}]
                        + [{"text": f"${{1}} {turn}"} for turn in range(1, turns)],
                    }
                ]
            }
        )

        def play(agent: str) -> list[str]:
            everybody_is_there.wait(PATIENCE_SECONDS)
            refused = [json.loads(ask(server, f"I am {agent}", namespace=agent))["type"] for _ in range(2)]
            texts = [
                json.loads(ask(server, f"I am {agent}", namespace=agent, answers=turn))["content"][0]["text"]
                for turn in range(turns)
            ]
            return refused + texts

        played = list(pool.map(play, agents))

        assert played == [["error", "error", *(f"{agent} {turn}" for turn in range(turns))] for agent in agents]
        assert len(server.requests()) == len(agents) * (turns + 2)


def test_a_defect_of_the_server_is_raised_when_it_closes() -> None:
    server = ModelServer()
    ill_formed = b"POST /v1/messages HTTP/1.1\r\ncontent-length: many\r\n\r\n"
    with socket.create_connection(("127.0.0.1", int(server.url.rpartition(":")[2])), PATIENCE_SECONDS) as connection:
        connection.sendall(ill_formed)
        assert connection.recv(1) == b""

    with pytest.raises(BaseExceptionGroup, match="defect"):
        server.close()
