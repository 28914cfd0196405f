"""The Qwen Code command line, its credentials, and how a repository is kept from being trusted."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from graftline.agents.backend import Assignment
from graftline.agents.profiles import QwenProfile
from graftline.agents.qwen import QwenBackend

LOCAL = "http://127.0.0.1:11434/v1"


@pytest.fixture
def assignment(tmp_path: Path) -> Assignment:
    (tmp_path / "work_tree").mkdir()
    return Assignment(
        prompt="Do it.",
        worktree=tmp_path / "work_tree",
        folder=tmp_path / "attempt",
        facts={},
        env={},
        environ={"PATH": "/nowhere", "HOME": "/home/person"},
    )


def access(profile: QwenProfile, assignment: Assignment, **environ: str) -> dict[str, str]:
    env = QwenBackend(profile).invocation(replace(assignment, environ={**assignment.environ, **environ})).env
    return {name: value for name, value in env.items() if name.startswith("OPENAI")}


def test_guides_of_the_repository_are_handed_over_as_text(assignment: Assignment) -> None:
    (assignment.worktree / "QWEN.md").write_text("Be brief.\n")
    (assignment.worktree / "AGENTS.md").write_text("Use tabs.\n")
    argv = QwenBackend(QwenProfile(model="m")).invocation(assignment).argv
    assert argv[-2:] == ("--append-system-prompt", "Be brief.\n\nUse tabs.")


def test_worktree_is_not_trusted_also_by_its_real_name(assignment: Assignment, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(assignment.worktree)
    call = QwenBackend(QwenProfile()).invocation(replace(assignment, worktree=tmp_path / "link"))
    home = assignment.home / ".qwen"
    settings, trust = (json.loads(call.files[home / name]) for name in ("settings.json", "trustedFolders.json"))
    assert settings["security"]["folderTrust"]["enabled"] is True
    assert trust == {str(assignment.worktree.resolve()): "DO_NOT_TRUST"}
    assert call.env["QWEN_CODE_TRUSTED_FOLDERS_PATH"] == str(home / "trustedFolders.json")


def test_key_and_address_are_always_said_so_that_no_file_fills_them_in(assignment: Assignment) -> None:
    ours = {"OPENAI_API_KEY": "sk-env", "OPENAI_BASE_URL": "http://env/v1"}
    assert access(QwenProfile(base_url=LOCAL), assignment) == {"OPENAI_API_KEY": "none", "OPENAI_BASE_URL": LOCAL}
    assert access(QwenProfile(), assignment, **ours) == ours
    assert access(QwenProfile(api_key=SecretStr("sk"), base_url=LOCAL), assignment, **ours) == {
        "OPENAI_API_KEY": "sk",
        "OPENAI_BASE_URL": LOCAL,
    }
    assert access(QwenProfile(), assignment, OPENAI_API_KEY="sk")["OPENAI_BASE_URL"] == "https://api.openai.com/v1"


def test_provider_is_who_is_asked() -> None:
    assert QwenBackend(QwenProfile()).provider({}) == "api.openai.com"
    assert QwenBackend(QwenProfile()).provider({"OPENAI_BASE_URL": LOCAL}) == "127.0.0.1:11434"


async def test_probe_misses_credentials_and_a_model(tmp_path: Path) -> None:
    (tmp_path / "qwen").write_text("#!/bin/sh\necho 0.24.4\n")
    (tmp_path / "qwen").chmod(0o755)
    environ = {"PATH": f"{tmp_path}:/usr/bin:/bin"}
    bare = await QwenBackend(QwenProfile()).probe(environ)
    assert [problem.partition(":")[0] for problem in bare.problems] == ["no credentials", "no model"]
    assert (
        await QwenBackend(QwenProfile()).probe({**environ, "OPENAI_API_KEY": "k", "OPENAI_MODEL": "m"})
    ).problems == ()
    assert (await QwenBackend(QwenProfile(base_url=LOCAL, model="m")).probe(environ)).problems == ()
