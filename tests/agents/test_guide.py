"""What of a repository an agent is told as text, and what is left alone."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from graftline.agents.guide import GUIDE_BYTES, read_guide


def test_guide_of_the_worktree_is_handed_over_as_text(tmp_path: Path) -> None:
    (tmp_path / "AGENTS.md").write_text("Be brief.\0\n")
    (tmp_path / "CLAUDE.md").symlink_to("AGENTS.md")
    assert read_guide(tmp_path, "CLAUDE.md") == "Be brief."


def test_guide_is_cut_to_what_an_argument_can_hold(tmp_path: Path) -> None:
    (tmp_path / "CLAUDE.md").write_text("é" * GUIDE_BYTES)
    guide = read_guide(tmp_path, "CLAUDE.md")
    assert guide.startswith("é" * (GUIDE_BYTES // 2))
    assert len(guide.encode()) < GUIDE_BYTES + 200
    assert guide.endswith(f"[CLAUDE.md is cut after {GUIDE_BYTES} bytes; read the rest in the file]")


def test_guides_share_the_room_and_a_file_with_two_names_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "AGENTS.md").write_text("Use tabs.")
    (tmp_path / "QWEN.md").symlink_to("AGENTS.md")
    assert read_guide(tmp_path, "QWEN.md", "AGENTS.md") == "Use tabs."
    (tmp_path / "QWEN.md").unlink()
    (tmp_path / "QWEN.md").write_text("x" * (GUIDE_BYTES - 4))
    guide = read_guide(tmp_path, "QWEN.md", "AGENTS.md")
    assert guide.partition("\n\n")[2] == "Use\n\n[AGENTS.md is cut after 4 bytes; read the rest in the file]"


def make_link_out(worktree: Path) -> None:
    (worktree.parent / "secret").write_text("secret")
    (worktree / "CLAUDE.md").symlink_to("../secret")


@pytest.mark.parametrize(
    "make",
    [
        make_link_out,
        lambda worktree: (worktree / "CLAUDE.md").symlink_to("CLAUDE.md"),
        lambda worktree: os.mkfifo(worktree / "CLAUDE.md"),
        lambda worktree: (worktree / "CLAUDE.md").mkdir(),
        lambda _: None,
    ],
    ids=["link out", "loop", "pipe", "folder", "none"],
)
def test_guide_that_is_no_file_of_the_worktree_is_left_alone(tmp_path: Path, make: Callable[[Path], None]) -> None:
    worktree = tmp_path / "worktree"
    worktree.mkdir()
    make(worktree)
    assert read_guide(worktree, "CLAUDE.md") == ""
