"""Neutral steps in the words of the CLI that asked: each step becomes a call of a tool that request offered.

A CLI without a tool for a step gets the same effect through its shell, and codex through its patch tool. Tools and
parameters are recognised by the names the CLIs give them, so a new CLI usually needs a name added here and no code.
"""

import json
import posixpath
import shlex
from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from tests.model_server.conversation import JsonSchema, Tool, smallest_instance
from tests.model_server.reply import ToolCall
from tests.model_server.scenario import EditFile, ReadFile, RunShell, Step, UseTool, WriteFile

_WRITE_TOOLS = ("Write", "write_file", "write", "create_file")
_EDIT_TOOLS = ("Edit", "replace", "edit", "edit_file", "str_replace")
_READ_TOOLS = ("Read", "read_file", "read", "view")
_SHELL_TOOLS = ("Bash", "run_shell_command", "bash", "exec_command", "shell_command", "shell", "execute_command")

_PATH = ("file_path", "filePath", "absolute_path", "path", "filename", "file")
_CONTENT = ("content", "contents", "text", "file_text")
_OLD = ("old_string", "oldString", "old_str", "old")
_NEW = ("new_string", "newString", "new_str", "new")
_COMMAND = ("command", "cmd", "script")

_REPLACE_ONCE = """\
import sys
path, old, new = sys.argv[1:]
with open(path, newline="") as file:
    text = file.read()
if old not in text:
    sys.exit(f"{path} does not contain {old!r}")
with open(path, "w", newline="") as file:
    file.write(text.replace(old, new, 1))
"""


class NoSuchToolError(Exception):
    """The CLI offers nothing a step could be done with."""


def tool_calls(steps: Sequence[Step], tools: Mapping[str, Tool], working_directory: str) -> tuple[ToolCall, ...]:
    """The calls that carry out the steps; raises `NoSuchToolError` when the offered tools cannot."""
    return tuple(_call(step, tools, working_directory) for step in _with_reads(steps, tools))


def _with_reads(steps: Sequence[Step], tools: Mapping[str, Tool]) -> list[Step]:
    """Put a read before each change of an existing file: Claude Code and others refuse it otherwise."""
    can_read = _first_of(_READ_TOOLS, tools) is not None
    expanded: list[Step] = []
    for step in steps:
        if can_read and (isinstance(step, EditFile) or (isinstance(step, WriteFile) and step.overwrite)):
            expanded.append(ReadFile(path=step.path))
        expanded.append(step)
    return expanded


def _call(step: Step, tools: Mapping[str, Tool], working_directory: str) -> ToolCall:
    if isinstance(step, UseTool):
        return ToolCall(name=step.name, arguments=step.input)
    native = _native_call(step, tools, working_directory)
    if native is not None:
        return native
    if isinstance(step, WriteFile | EditFile) and "apply_patch" in tools:
        return _patch_call(tools["apply_patch"], step)
    if "exec" in tools and tools["exec"].freeform:
        return _code_call(tools["exec"], step)
    shell = _first_of(_SHELL_TOOLS, tools)
    if shell is None:
        raise NoSuchToolError(f"no tool offered can do {step.kind!r}; offered: {', '.join(sorted(tools)) or 'none'}")
    return _shell_call(shell, shell_command(step))


def _native_call(step: Step, tools: Mapping[str, Tool], working_directory: str) -> ToolCall | None:
    """The step as the CLI's own tool for just that, if it has one."""
    if isinstance(step, WriteFile) and (tool := _first_of(_WRITE_TOOLS, tools)):
        values = {_PATH: _absolute(step.path, working_directory), _CONTENT: step.content}
    elif isinstance(step, EditFile) and (tool := _first_of(_EDIT_TOOLS, tools)):
        values = {_PATH: _absolute(step.path, working_directory), _OLD: step.old, _NEW: step.new}
    elif isinstance(step, ReadFile) and (tool := _first_of(_READ_TOOLS, tools)):
        values = {_PATH: _absolute(step.path, working_directory)}
    else:
        return None
    return _filled_call(tool, {_parameter(names, tool.schema): value for names, value in values.items()})


def _shell_call(tool: Tool, command: str) -> ToolCall:
    name = _parameter(_COMMAND, tool.schema)
    takes_argv = tool.schema.properties.get(name, JsonSchema()).main_type == "array"
    return _filled_call(tool, {name: ["bash", "-c", command] if takes_argv else command})


def _patch_call(tool: Tool, step: WriteFile | EditFile) -> ToolCall:
    if tool.freeform:
        return ToolCall(name=tool.name, freeform=patch_text(step), namespace=tool.namespace)
    return _filled_call(tool, {_parameter(("input", "patch"), tool.schema): patch_text(step)})


def _code_call(tool: Tool, step: Step) -> ToolCall:
    """For models to which codex offers one tool that runs JavaScript over the real ones."""
    if isinstance(step, WriteFile | EditFile):
        script = f"text(await tools.apply_patch({json.dumps(patch_text(step))}))"
    else:
        arguments = json.dumps({"cmd": shell_command(step)})
        script = f"const r = await tools.exec_command({arguments}); text(r.output + '\\nexit ' + r.exit_code)"
    return ToolCall(name=tool.name, freeform=script, namespace=tool.namespace)


def _filled_call(tool: Tool, arguments: Mapping[str, JsonValue]) -> ToolCall:
    """The call with every required parameter the step does not care about set to something harmless."""
    missing = {
        name: smallest_instance(tool.schema.properties.get(name, JsonSchema(type="string")))
        for name in tool.schema.required
        if name not in arguments
    }
    return ToolCall(name=tool.name, arguments={**arguments, **missing}, namespace=tool.namespace)


def shell_command(step: Step) -> str:
    """The step as a shell command, exact to the byte for any path and content."""
    match step:
        case WriteFile():
            path = shlex.quote(step.path)
            return f'mkdir -p -- "$(dirname -- {path})" && printf %s {shlex.quote(step.content)} > {path}'
        case EditFile():
            return shlex.join(["python3", "-c", _REPLACE_ONCE, step.path, step.old, step.new])
        case ReadFile():
            return shlex.join(["cat", "--", step.path])
        case RunShell():
            return step.command
        case UseTool():
            raise NoSuchToolError(f"the tool {step.name!r} is a CLI's own and has no shell form")


def patch_text(step: WriteFile | EditFile) -> str:
    """The step as the patch envelope OpenAI's models are trained on; whole lines only."""
    if isinstance(step, WriteFile):
        added = "".join(f"+{line}\n" for line in step.content.splitlines())
        return f"*** Begin Patch\n*** Add File: {step.path}\n{added}*** End Patch"
    removed = "".join(f"-{line}\n" for line in step.old.splitlines())
    added = "".join(f"+{line}\n" for line in step.new.splitlines())
    return f"*** Begin Patch\n*** Update File: {step.path}\n@@\n{removed}{added}*** End Patch"


def _first_of(names: Sequence[str], tools: Mapping[str, Tool]) -> Tool | None:
    return next((tools[name] for name in names if name in tools), None)


def _parameter(names: Sequence[str], schema: JsonSchema) -> str:
    return next((name for name in names if name in schema.properties), names[0])


def _absolute(path: str, working_directory: str) -> str:
    return posixpath.join(working_directory, path)
