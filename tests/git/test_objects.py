"""Files of a commit, read without a checkout."""

import os
from pathlib import Path

from graftline.git.objects import TreeFile, list_tree, read_blobs
from tests.conftest import MakeRepository, run_git


def test_regular_files_and_their_contents(make_repository: MakeRepository) -> None:
    folder = make_repository({"a.txt": "one\n", "b/c.txt": "", "b/ d\n.txt": "two\n"})
    (folder / "link").symlink_to("a.txt")
    (folder / "run.sh").write_text("three\n")
    (folder / "run.sh").chmod(0o755)
    Path(os.fsdecode(os.fsencode(folder) + b"/\xff")).write_bytes(b"\0\n\0")
    run_git(folder, "add", "-A")
    inner = run_git(folder, "rev-parse", "HEAD")
    run_git(folder, "update-index", "--add", "--cacheinfo", f"160000,{inner},module")
    run_git(folder, "commit", "-qm", "second")

    files = list_tree(folder / ".git", "HEAD")

    contents = read_blobs(folder / ".git", [file.blob for file in files])
    assert {file.path: contents[file.blob] for file in files} == {
        "a.txt": b"one\n",
        "b/ d\n.txt": b"two\n",
        "b/c.txt": b"",
        "run.sh": b"three\n",
        "\udcff": b"\0\n\0",
    }
    assert [file.size for file in files] == [len(contents[file.blob]) for file in files]


def test_a_content_that_is_not_there_has_no_size(make_repository: MakeRepository) -> None:
    folder = make_repository({"a.txt": "one\n"})
    blob = run_git(folder, "rev-parse", "HEAD:a.txt")
    (folder / ".git" / "objects" / blob[:2] / blob[2:]).unlink()

    assert list_tree(folder / ".git", "HEAD") == (TreeFile("a.txt", blob, -1),)
