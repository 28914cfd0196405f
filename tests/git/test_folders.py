"""Removing folders agents had their hands on: whatever is in them goes, and nothing outside of them."""

import os
import subprocess
from pathlib import Path

from graftline.git.folders import disk_bytes, remove

LEVELS = 1500
"""Deeper than a recursion can go, and than a path can be long."""


def test_closed_folders_links_and_any_depth_go_and_what_a_link_leads_to_stays(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir()
    (private / "file").write_text("mine\n")
    root = tmp_path / "root"
    (root / "closed" / "inner").mkdir(parents=True)
    (root / "closed" / "inner" / "file").write_text("x\n")
    (root / "link").symlink_to(private)
    (root / "closed" / "link").symlink_to(private / "file")
    descriptor = os.open(root, os.O_RDONLY)
    for _ in range(LEVELS):
        os.mkdir("deeper", dir_fd=descriptor)
        below = os.open("deeper", os.O_RDONLY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(os.open("at the bottom", os.O_CREAT | os.O_WRONLY, dir_fd=descriptor))
    os.close(descriptor)
    (root / "closed" / "inner").chmod(0o500)
    (root / "closed").chmod(0)
    root.chmod(0o500)

    assert disk_bytes(root) > 0
    try:
        remove(root)
        remove(root)
        assert not os.path.lexists(root)
    finally:
        subprocess.run(["rm", "-rf", root], check=True)  # pytest could not remove it either
    assert (private / "file").read_text() == "mine\n"


def test_of_a_link_only_the_link_goes(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "folder")

    remove(tmp_path / "link")

    assert [path.name for path in tmp_path.iterdir()] == ["folder"]


def test_a_file_with_another_name_elsewhere_gives_no_space_back(tmp_path: Path) -> None:
    (tmp_path / "here").mkdir()
    file = tmp_path / "here" / "file"
    file.write_bytes(os.urandom(100_000))
    alone = disk_bytes(file)
    (tmp_path / "elsewhere").hardlink_to(file)

    assert (alone >= 100_000, disk_bytes(file)) == (True, 0)
