"""The Codex command line, its credentials, and where a login or a key may go."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from pydantic import SecretStr

from graftline.agents.backend import Assignment, Form, Session
from graftline.agents.codex import CodexBackend
from graftline.agents.profiles import CodexProfile

LOCAL = "http://127.0.0.1:11434/v1"


@pytest.fixture
def assignment(tmp_path: Path) -> Assignment:
    return Assignment(
        prompt="Do it.",
        worktree=tmp_path / "worktree",
        folder=tmp_path / "attempt",
        facts={},
        env={},
        environ={"PATH": "/nowhere", "HOME": "/home/person"},
    )


def options(argv: tuple[str, ...]) -> dict[str, str]:
    """What `-c` sets."""
    stated = [value for name, value in pairwise(argv) if name == "-c"]
    return dict(option.split("=", 1) for option in stated)


def access(profile: CodexProfile, assignment: Assignment, **environ: str) -> dict[str, str]:
    """Whatever of the environment decides who is asked, with which credentials."""
    env = CodexBackend(profile).invocation(replace(assignment, environ={**assignment.environ, **environ})).env
    return {name: value for name, value in env.items() if name.startswith(("CODEX", "OPENAI", "HOME"))}


def test_session_is_resumed_by_its_id_which_is_never_taken_for_an_option(assignment: Assignment) -> None:
    session = Session("--last")
    new = CodexBackend(CodexProfile()).invocation(assignment).argv
    resumed = CodexBackend(CodexProfile()).invocation(replace(assignment, session=session)).argv
    assert (new[:3], new[-2:]) == (("codex", "exec", "--json"), ("--", "-"))
    assert (resumed[:4], resumed[-3:]) == (("codex", "exec", "resume", "--json"), ("--", "--last", "-"))


def test_a_form_is_filled_in_read_only_and_without_a_trace(assignment: Assignment) -> None:
    call = CodexBackend(CodexProfile()).invocation(replace(assignment, form=Form({"type": "object"}, "You plan.")))
    schema = assignment.folder / "schema.json"
    assert call.argv[:11] == (
        *("codex", "exec", "--json", "--skip-git-repo-check", "--ignore-user-config", "--ignore-rules"),
        *("--ephemeral", "--sandbox", "read-only", "--output-schema", str(schema)),
    )
    assert options(call.argv)["features.shell_tool"] == "false"
    assert options(call.argv)["web_search"] == '"disabled"'
    assert (call.stdin, call.files) == (b"You plan.\n\nDo it.", {schema: b'{"type": "object"}'})


def test_own_address_is_a_provider_of_its_own_with_the_key_only_where_there_is_one(assignment: Assignment) -> None:
    keyless = CodexBackend(CodexProfile(base_url=LOCAL, model="qwen3")).invocation(assignment)
    keyed = CodexBackend(CodexProfile(base_url=LOCAL, api_key=SecretStr("sk"))).invocation(assignment)
    plain = CodexBackend(CodexProfile(api_key=SecretStr("sk"))).invocation(assignment)
    provider = f'{{name = "graftline", base_url = "{LOCAL}", wire_api = "responses"'
    assert options(keyless.argv)["model_providers.graftline"] == provider + "}"
    assert options(keyed.argv)["model_providers.graftline"] == provider + ', env_key = "CODEX_API_KEY"}'
    assert [options(call.argv).get("model_provider") for call in (keyless, keyed, plain)] == ['"graftline"'] * 2 + [
        None
    ]


def test_address_cannot_break_out_of_its_string(assignment: Assignment) -> None:
    profile = CodexProfile(base_url='http://a"}\n\\', api_key=SecretStr("sk"))
    option = options(CodexBackend(profile).invocation(assignment).argv)["model_providers.graftline"]
    assert 'base_url = "http://a\\"}\\n\\\\", wire_api' in option


def test_key_of_the_profile_goes_before_those_of_the_environment(assignment: Assignment) -> None:
    private = {"HOME": str(assignment.folder / "home")}
    ours = {"OPENAI_API_KEY": "sk-openai", "CODEX_API_KEY": "sk-codex", "CODEX_HOME": "/c", "CODEX_SANDBOX": "x"}
    profile = CodexProfile(api_key=SecretStr("sk-profile"))
    assert access(profile, assignment, **ours) == {**private, "CODEX_API_KEY": "sk-profile"}
    assert access(CodexProfile(), assignment, **ours) == {**private, "CODEX_API_KEY": "sk-codex"}
    account = {"OPENAI_API_KEY": "sk-openai", "OPENAI_PROJECT": "p"}
    assert access(CodexProfile(), assignment, **account) == {
        **private,
        "CODEX_API_KEY": "sk-openai",
        "OPENAI_PROJECT": "p",
    }


def test_own_login_is_used_where_there_is_no_key_and_never_for_another_address(assignment: Assignment) -> None:
    private = {"HOME": str(assignment.folder / "home")}
    assert access(CodexProfile(), assignment) == {**private, "CODEX_HOME": "/home/person/.codex"}
    assert access(CodexProfile(), assignment, CODEX_HOME="/c") == {**private, "CODEX_HOME": "/c"}
    assert access(CodexProfile(base_url=LOCAL), assignment) == private
    assert access(CodexProfile(), assignment, OPENAI_BASE_URL=LOCAL) == private


def test_provider_is_who_is_asked() -> None:
    backend = CodexBackend(CodexProfile())
    assert backend.provider({}) == "chatgpt.com"
    assert backend.provider({"OPENAI_API_KEY": "sk"}) == "api.openai.com"
    assert backend.provider({"OPENAI_BASE_URL": LOCAL}) == "127.0.0.1:11434"
    assert CodexBackend(CodexProfile(base_url="https://gateway/v1")).provider({"OPENAI_BASE_URL": LOCAL}) == "gateway"


async def test_probe_misses_credentials_and_says_when_it_uses_a_login(tmp_path: Path) -> None:
    program = tmp_path / "codex"
    # As the real one does it when its home is a temporary folder.
    program.write_text("#!/bin/sh\necho codex-cli 0.169.0\necho 'WARNING: 7 aliases' >&2\n")
    program.chmod(0o755)
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HOME": str(tmp_path / "person")}
    backend = CodexBackend(CodexProfile())
    without = await backend.probe(environ)
    (tmp_path / "person" / ".codex").mkdir(parents=True)
    (tmp_path / "person" / ".codex" / "auth.json").write_text("{}")
    with_login = await backend.probe(environ)
    assert (without.binary, without.version) == (str(program), "0.169.0")
    assert [problem.partition(":")[0] for problem in without.problems] == ["no credentials"]
    assert (with_login.problems, [note.partition(":")[0] for note in with_login.notes]) == ((), ["no API key is set"])
    local = await CodexBackend(CodexProfile(base_url=LOCAL)).probe(environ)
    assert (local.problems, local.access) == ((), "no key, at 127.0.0.1:11434")
    keyed = [await backend.probe({**environ, "OPENAI_API_KEY": "sk"})]
    keyed += [await CodexBackend(CodexProfile(api_key=SecretStr("sk"))).probe(environ)]
    assert [probe.access for probe in keyed] == ["OPENAI_API_KEY", "api_key of the profile"]
