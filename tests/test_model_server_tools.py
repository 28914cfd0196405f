"""Neutral steps in the words of each CLI, and the shell that stands in where a CLI has no tool for files."""

import subprocess
import tempfile
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.model_server.conversation import JsonSchema, Tool
from tests.model_server.scenario import EditFile, ReadFile, RunShell, Step, UseTool, WriteFile
from tests.model_server.tools import patch_text, shell_command, tool_calls


def a_tool(name: str, *required: str, freeform: bool = False, **types: str) -> Tool:
    """A tool with string parameters, or of the given types."""
    properties = {parameter: JsonSchema(type=types.get(parameter, "string")) for parameter in (*required, *types)}
    return Tool(name, JsonSchema(properties=properties, required=list(required)), freeform=freeform)


def offered(*tools: Tool) -> dict[str, Tool]:
    """Tools by name."""
    return {tool.name: tool for tool in tools}


CLAUDE = offered(
    a_tool("Write", "file_path", "content"),
    a_tool("Edit", "file_path", "old_string", "new_string", replace_all="boolean"),
    a_tool("Read", "file_path"),
    a_tool("Bash", "command"),
)
GEMINI = offered(
    a_tool("write_file", "file_path", "content"),
    a_tool("replace", "file_path", "old_string", "new_string", "instruction"),
    a_tool("run_shell_command", "command"),
)
CODEX = offered(a_tool("exec_command", "cmd"), a_tool("apply_patch", freeform=True))

# What a file may hold: anything but NUL, which no argument vector carries, and lone surrogates, which no file does.
texts = st.text(st.characters(exclude_characters="\0", codec="utf-8"), max_size=200)


def test_claude_gets_absolute_paths_and_a_read_before_a_change() -> None:
    steps: list[Step] = [WriteFile(path="a.py", content="x"), EditFile(path="b.py", old="1", new="2")]

    calls = tool_calls(steps, CLAUDE, "/w")

    assert [(call.name, dict(call.arguments)) for call in calls] == [
        ("Write", {"file_path": "/w/a.py", "content": "x"}),
        ("Read", {"file_path": "/w/b.py"}),
        ("Edit", {"file_path": "/w/b.py", "old_string": "1", "new_string": "2"}),
    ]
    assert len({call.id for call in calls}) == 3


def test_a_write_over_a_file_is_read_first() -> None:
    names = [call.name for call in tool_calls([WriteFile(path="a", content="", overwrite=True)], CLAUDE, "/w")]

    assert names == ["Read", "Write"]


def test_required_parameters_nobody_set_get_a_harmless_value() -> None:
    [call] = tool_calls([EditFile(path="/w/b.py", old="1", new="2")], GEMINI, "/elsewhere")

    assert (call.name, call.arguments["instruction"], call.arguments["file_path"]) == ("replace", "scripted", "/w/b.py")


def test_codex_gets_patches_and_its_own_shell() -> None:
    steps: list[Step] = [WriteFile(path="a.py", content="x\n"), RunShell(command="make"), ReadFile(path="a b")]

    calls = tool_calls(steps, CODEX, "/w")

    assert [(call.name, call.freeform, dict(call.arguments)) for call in calls] == [
        ("apply_patch", "*** Begin Patch\n*** Add File: a.py\n+x\n*** End Patch", {}),
        ("exec_command", None, {"cmd": "make"}),
        ("exec_command", None, {"cmd": "cat -- 'a b'"}),
    ]


def test_code_mode_runs_the_step_in_its_one_tool() -> None:
    code_mode = offered(a_tool("exec", freeform=True))

    [shell, patch] = tool_calls([RunShell(command="make 'it'"), WriteFile(path="a", content="x")], code_mode, "")

    assert shell.freeform is not None
    assert 'tools.exec_command({"cmd": "make \'it\'"})' in shell.freeform
    assert patch.freeform is not None
    assert patch.freeform.startswith('text(await tools.apply_patch("*** Begin Patch\\n')


def test_a_shell_that_takes_an_argument_vector_gets_one() -> None:
    tools = offered(a_tool("shell", "command", command="array"))

    [call] = tool_calls([RunShell(command="make")], tools, "")

    assert call.arguments == {"command": ["bash", "-c", "make"]}


def test_a_clis_own_tool_is_used_as_it_is() -> None:
    [call] = tool_calls([UseTool(name="TodoWrite", input={"todos": []})], CLAUDE, "/w")

    assert (call.name, call.arguments) == ("TodoWrite", {"todos": []})


def test_a_patch_replaces_whole_lines() -> None:
    assert patch_text(EditFile(path="a.py", old="x = 1\ny = 1", new="x = 2")) == (
        "*** Begin Patch\n*** Update File: a.py\n@@\n-x = 1\n-y = 1\n+x = 2\n*** End Patch"
    )


@settings(max_examples=8, deadline=None)
@given(content=texts, name=st.text(st.sampled_from("ab -'\"$*é"), min_size=1, max_size=12))
def test_the_shell_writes_and_reads_any_content_to_the_byte(content: str, name: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = f"new folder/{name}"
        run_shell(shell_command(WriteFile(path=path, content=content)), folder)

        assert (Path(folder) / path).read_bytes() == content.encode()
        assert run_shell(shell_command(ReadFile(path=path)), folder) == content.encode()


@settings(max_examples=6, deadline=None)
@example(before="", old="x", new="y", after=" x")
@given(before=texts, old=texts.filter(bool), new=texts, after=texts)
def test_the_shell_edits_any_content_once(before: str, old: str, new: str, after: str) -> None:
    text = before + old + after
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "file").write_bytes(text.encode())
        run_shell(shell_command(EditFile(path="file", old=old, new=new)), folder)

        assert (Path(folder) / "file").read_bytes() == text.replace(old, new, 1).encode()


def run_shell(command: str, folder: str) -> bytes:
    """What a command prints; it must succeed."""
    return subprocess.run(["bash", "-c", command], cwd=folder, check=True, capture_output=True).stdout
