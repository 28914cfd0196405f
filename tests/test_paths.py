"""Paths of a plan: the dangerous ones are refused, and two that may mean one file are seen to overlap."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from graftline.paths import clean_file_path, clean_pattern, may_overlap


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("  ", "empty"),
        ("/etc/passwd", "absolute"),
        ("C:/x", "absolute"),
        ("c:x", "absolute"),
        ("..", r"'\.\.'"),
        ("a/../../b", r"'\.\.'"),
        ("a\\b", "backslash"),
        ("a\0b", "control"),
        ("a\nb", "control"),
        ("a\ud800", "control"),
        (".", "whole repository"),
        ("./", "whole repository"),
        (".git", "git's own"),
        ("sub/.git/hooks/pre-commit", "git's own"),
        (".GIT/config", "git's own"),
        (".git./config", "git's own"),
        (".git /config", "git's own"),
        (".git::$INDEX_ALLOCATION/config", "git's own"),
        ("git~1/config", "git's own"),
        (".g\u200cit/config", "git's own"),
        ("a/" + "x" * 256, "255 bytes"),
        ("{a,b}" * 30, "more than 200 paths"),
        ("{" * 30 + "a,b}" + ",c}" * 29 + "{a,b}" * 5, "more than 200 paths"),
    ],
)
def test_dangerous_path_is_refused_with_its_reason(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        clean_pattern(text)


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("src/a.py", "src/a.py"),
        ("./src//a.py", "src/a.py"),
        ("src/", "src"),
        ("**/*.py", "**/*.py"),
        ("app/[id]/ページ.tsx", "app/[id]/ページ.tsx"),
        (".github/workflows", ".github/workflows"),
        (".gitignore", ".gitignore"),
        ("a..b", "a..b"),
        ("src/{a,b}/{c,{d,e}}.{py,pyi}", "src/{a,b}/{c,{d,e}}.{py,pyi}"),
    ],
)
def test_usable_path_gets_its_one_spelling(text: str, clean: str) -> None:
    assert clean_pattern(text) == clean


def test_file_path_must_already_be_in_its_one_spelling() -> None:
    assert clean_file_path("tests/test_a.py") == "tests/test_a.py"
    with pytest.raises(ValueError, match=r"write 'tests/test_a\.py'"):
        clean_file_path("tests//test_a.py")


@pytest.mark.parametrize(
    ("one", "other", "overlaps"),
    [
        ("src/a.py", "src/a.py", True),
        ("src/a.py", "SRC/A.py", True),
        ("caf\u00e9", "cafe\u0301", True),
        ("src", "src/a.py", True),
        ("src", "src2/a.py", False),
        ("src/a.py", "src/ab.py", False),
        ("src/*.py", "src/a.py", True),
        ("src/a*.py", "src/b*.py", False),
        ("src/a*", "src/ab/c.py", True),
        ("src/foo/b*", "src", True),
        ("src/foo/b*", "sr", False),
        ("**/*.py", "docs/index.md", True),
        ("a?c", "b", False),
        ("app/[id]/x", "app/1/x", True),
        ("{a,b}.py", "c.py", True),
    ],
)
def test_overlap_of_two_patterns(one: str, other: str, overlaps: bool) -> None:
    assert (may_overlap(one, other), may_overlap(other, one)) == (overlaps, overlaps)


def matches(pattern: str, path: str) -> bool:
    """An independent reading of patterns: what it matches, file or folder, is meant with all that is below."""
    body = re.escape(pattern).replace(r"\*\*", ".*").replace(r"\*", "[^/]*").replace(r"\?", "[^/]")
    return re.fullmatch(f"{body}(/.*)?", path, re.IGNORECASE) is not None


@given(
    st.from_regex(r"[ab*?]{1,3}(/[aB*]{1,3}){0,2}", fullmatch=True),
    st.from_regex(r"[ab*?]{1,3}(/[Ab*]{1,3}){0,2}", fullmatch=True),
    st.from_regex(r"[ab]{1,3}(/[ab]{1,3}){0,2}", fullmatch=True),
)
def test_patterns_that_match_one_file_always_overlap(one: str, other: str, path: str) -> None:
    if matches(one, path) and matches(other, path):
        assert may_overlap(one, other)
