"""An agent's environment holds what was decided for it, and none of our secrets."""

import subprocess
from pathlib import Path

import pytest

from graftline.agents.backend import Assignment
from graftline.agents.environment import agent_environment, make_private_home, refused_names, remove_caches
from graftline.agents.profiles import AgentProfile
from graftline.errors import ExitCode, UserError

OURS = {
    "PATH": "/usr/bin:/bin",
    "HOME": "/home/person",
    "LANG": "de_DE.UTF-8",
    "LC_TIME": "C",
    "TZ": "Europe/Berlin",
    "HTTPS_PROXY": "http://proxy",
    "SHARED": "passed on",
    "GITHUB_TOKEN": "secret",
    "ANTHROPIC_API_KEY": "secret",
    "GIT_DIR": "/somewhere/.git",
    "PYTHONPATH": "/somewhere",
    "LD_PRELOAD": "evil.so",
    "CLAUDECODE": "1",
}


def assign(folder: Path, **fields: dict[str, str]) -> Assignment:
    given = {"facts": {}, "env": {}, "environ": OURS, **fields}
    return Assignment(
        prompt="", worktree=folder, folder=folder, facts=given["facts"], env=given["env"], environ=given["environ"]
    )


def test_environment_is_built_from_nothing(tmp_path: Path) -> None:
    assert agent_environment(assign(tmp_path), AgentProfile()) == {
        "PATH": "/usr/bin:/bin",
        "HOME": str(tmp_path / "home"),
        "LANG": "de_DE.UTF-8",
        "LC_TIME": "C",
        "TZ": "Europe/Berlin",
        "HTTPS_PROXY": "http://proxy",
        "TERM": "dumb",
        "CI": "1",
        "NO_COLOR": "1",
        "PAGER": "cat",
        "GIT_PAGER": "cat",
        "GIT_EDITOR": "true",
        "GIT_TERMINAL_PROMPT": "0",
        "PYTHONDONTWRITEBYTECODE": "1",
        "GIT_AUTHOR_NAME": "graftline agent",
        "GIT_AUTHOR_EMAIL": "agent@graftline.invalid",
        "GIT_COMMITTER_NAME": "graftline agent",
        "GIT_COMMITTER_EMAIL": "agent@graftline.invalid",
        "GRAFTLINE_TASK_PROMPT_FILE": str(tmp_path / "prompt.md"),
    }


def test_each_layer_overrides_the_one_before(tmp_path: Path) -> None:
    names = ["A", "B", "C", "D", "E"]
    assignment = assign(
        tmp_path,
        environ=OURS | dict.fromkeys(names, "passed"),
        env={"C": "task", "D": "task", "E": "task"},
        facts={"E": "fact"},
    )
    profile = AgentProfile(pass_env=[*names, "ABSENT"], env={name: "profile" for name in names if name != "A"})
    env = agent_environment(
        assignment, profile, defaults=dict.fromkeys(names, "default"), pinned={"D": "pin", "E": "pin"}
    )
    assert {name: env.get(name) for name in [*names, "ABSENT"]} == {
        "A": "passed",
        "B": "profile",
        "C": "task",
        "D": "pin",
        "E": "fact",
        "ABSENT": None,
    }


def test_temporary_folder_of_the_call_becomes_tmpdir(tmp_path: Path) -> None:
    assignment = Assignment("", tmp_path, tmp_path, facts={}, env={}, environ=OURS, temporary=tmp_path / "t")
    assert agent_environment(assignment, AgentProfile())["TMPDIR"] == str(tmp_path / "t")


@pytest.mark.parametrize(
    "name",
    [
        "HTTPS_PROXY",
        "NODE_EXTRA_CA_CERTS",
        "ANTHROPIC_BASE_URL",
        "AIDER_TEST_CMD",
        "DEEPSEEK_API_BASE",
        "OPENROUTER_API_KEY",
        "CLAUDE_CONFIG_DIR",
        "CODEX_HOME",
        "OPENAI_BASE_URL",
        "QWEN_HOME",
        "LD_PRELOAD",
        "NODE_OPTIONS",
        "HOME",
        "NODE_TLS_REJECT_UNAUTHORIZED",
        "GEMINI_CLI_CUSTOM_HEADERS",
        "OPENCODE_CONFIG_CONTENT",
        "GRAFTLINE_TASK_ID",
    ],
)
def test_task_cannot_say_where_credentials_go(tmp_path: Path, name: str) -> None:
    with pytest.raises(UserError, match=f"{name}, which only an agent profile may set") as caught:
        agent_environment(assign(tmp_path, env={name: "x", "HARMLESS": "y"}), AgentProfile())
    assert caught.value.exit_code is ExitCode.BAD_INPUT
    assert refused_names({name: "x", "HARMLESS": "y"}) == (name,)


def test_profile_can_hand_over_the_persons_home(tmp_path: Path) -> None:
    assert agent_environment(assign(tmp_path), AgentProfile(pass_env=["HOME"]))["HOME"] == "/home/person"


@pytest.mark.parametrize("name", ["Ada Lovelace", 'Quo"te \\ back', "Zoë #1; [x]"])
def test_private_home_gives_git_an_identity(tmp_path: Path, name: str) -> None:
    make_private_home(assign(tmp_path, environ={"GIT_AUTHOR_NAME": name, "GIT_AUTHOR_EMAIL": "ada@example.com"}))
    told = subprocess.run(
        ["git", "config", "--get-regexp", "user"],
        env={"HOME": str(tmp_path / "home"), "PATH": "/usr/bin:/bin", "GIT_CONFIG_NOSYSTEM": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )
    assert told.stdout == f"user.name {name}\nuser.email ada@example.com\n"
    assert (tmp_path / "home").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "home" / ".gitconfig").stat().st_mode & 0o777 == 0o600


def test_caches_of_an_attempt_go_and_its_sessions_and_what_a_link_leads_to_stay(tmp_path: Path) -> None:
    home, theirs = tmp_path / "home", tmp_path / "theirs"
    caches = [home / ".cache" / "pip", home / ".npm", home / "go" / "pkg" / "mod"]
    for folder in (*caches, home / ".claude", theirs / "registry"):
        folder.mkdir(parents=True)
        (folder / "file").write_text("x\n")
    (home / "go" / "pkg" / "mod").chmod(0o500)  # as go leaves its modules
    (home / ".cargo").symlink_to(theirs)

    remove_caches(assign(tmp_path))

    files = {str(path.relative_to(home)) for path in home.rglob("*") if path.is_file()}
    assert files == {".claude/file"}
    assert (theirs / "registry" / "file").exists()
