"""The wrapper: what reaches git and what does not."""

import os
from pathlib import Path

import pytest

from graftline.errors import ExitCode, GitFailedError, GitMissingError
from graftline.git.command import check_git, git, git_async


def test_inherited_git_variables_do_not_reach_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(["init", "--quiet", str(tmp_path / "wanted")], git_dir=None)
    git(["init", "--quiet", str(tmp_path / "inherited")], git_dir=None)
    monkeypatch.setenv("GIT_DIR", str(tmp_path / "inherited" / ".git"))
    monkeypatch.setenv("GIT_INDEX_FILE", str(tmp_path / "nowhere"))
    found = git(["-C", str(tmp_path / "wanted"), "rev-parse", "--absolute-git-dir"], git_dir=None)
    assert found.text == str(tmp_path / "wanted" / ".git")


def test_given_variables_win_over_inherited_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    git(["init", "--quiet", str(tmp_path)], git_dir=None)
    monkeypatch.setenv("GIT_AUTHOR_NAME", "Inherited")
    given = {"GIT_AUTHOR_NAME": "Given", "GIT_AUTHOR_EMAIL": "given@example.com"}
    found = git(["var", "GIT_AUTHOR_IDENT"], git_dir=tmp_path / ".git", env=given)
    assert found.text.startswith("Given <given@example.com> ")


def test_output_is_exact_bytes() -> None:
    content = b"\xff\0\n\n"
    result = git(["stripspace", "--comment-lines"], git_dir=None, stdin=content)
    assert result.stdout == b"# \xff\0\n#\n"


def test_fields_keep_names_that_are_not_utf8(tmp_path: Path) -> None:
    git(["init", "--quiet", str(tmp_path)], git_dir=None)
    name = os.fsdecode(b"caf\xe9 \n.txt")
    (tmp_path / name).write_text("x")
    listed = git(["ls-files", "-z", "--others"], git_dir=tmp_path / ".git", work_tree=tmp_path)
    assert listed.fields == (name,)


def test_a_failure_carries_command_status_and_reason(tmp_path: Path) -> None:
    git(["init", "--quiet", str(tmp_path)], git_dir=None)
    with pytest.raises(GitFailedError) as caught:
        git(["rev-parse", "--verify", "nothing"], git_dir=tmp_path / ".git")
    assert (caught.value.arguments, caught.value.status) == (("rev-parse", "--verify", "nothing"), 128)
    assert "Needed a single revision" in str(caught.value)


def test_an_accepted_status_is_an_answer(tmp_path: Path) -> None:
    git(["init", "--quiet", str(tmp_path)], git_dir=None)
    assert git(["config", "no.such"], git_dir=tmp_path / ".git", accept=frozenset({1})).status == 1


async def test_git_runs_in_a_session_of_its_own(tmp_path: Path) -> None:
    git(["init", "--quiet", str(tmp_path)], git_dir=None)
    alias = {"alias.session": "!ps -o sid= -p $$"}
    found = await git_async(["session"], git_dir=tmp_path / ".git", config=alias)
    assert int(found.text) != os.getsid(0)


def _put_git(folder: Path, script: str) -> None:
    folder.mkdir()
    (folder / "git").write_text(f"#!/bin/sh\n{script}\n")
    (folder / "git").chmod(0o755)


@pytest.mark.parametrize("script", ["echo git version 2.37.9", "echo something else"])
def test_a_git_that_cannot_merge_trees_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    _put_git(tmp_path / "bin", script)
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")
    with pytest.raises(GitMissingError, match=r"2\.38 or later") as caught:
        check_git.__wrapped__()
    assert caught.value.exit_code is ExitCode.CANNOT_RUN


def test_no_git_at_all_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GitMissingError, match="git is not on PATH"):
        check_git.__wrapped__()
