"""What another attempt goes on from, by the records of those before it."""

from dataclasses import replace

from graftline.agents.claude_code import ClaudeCodeBackend
from graftline.agents.outcome import OutcomeKind
from graftline.agents.profiles import ClaudeCodeProfile
from graftline.agents.routing import Agent
from graftline.continuation import continuation_of, home_of
from graftline.private_files import make_folder
from graftline.records import AttemptState, write_record
from tests.pipeline import Project, task
from tests.test_records import record


async def test_an_agent_that_its_money_limit_stopped_goes_on_once_the_caps_have_room(offline_project: Project) -> None:
    run = await offline_project.open([task("a")], {})
    agent = Agent("claude-code", None, ClaudeCodeBackend(ClaudeCodeProfile()))
    stopped = record(
        state=AttemptState.INTERRUPTED,
        commit=None,
        outcome=OutcomeKind.BUDGET,
        backend=agent.backend.type,
        profile=agent.profile,
        session_id="session",
        salvage="refs/x",
    )
    short = record(number=2, state=AttemptState.NOT_CALLED, commit=None, outcome=OutcomeKind.BUDGET)
    make_folder(home_of(run, "a", 1))
    for one in (stopped, short):
        write_record(run.folder.attempt("a", one.number), one)

    continuation = continuation_of(run, "a", "key", agent)
    assert continuation is not None
    assert (continuation.record, continuation.number) == (stopped, 1), "no agent was called since"
    assert continuation.session is not None
    assert continuation.session.id == "session"
    assert continuation_of(run, "a", "another key", agent) is None
    deeper = continuation_of(run, "a", "key", replace(agent, profile="deeper"))
    assert deeper is not None
    assert (deeper.record, deeper.session) == (stopped, None), "with the work, not with the conversation"
