"""YAML text as a document, and plain data as YAML that people can read.

What can be read is read to its end, so that one call finds every mistake.
"""

import sys
from collections.abc import Mapping

import yaml

from graftline.errors import Problem
from graftline.spellings.document import DEEPEST_NESTING, Document, Location, refuse

_MOST_VALUES = 200_000  # aliases multiply: a few lines can unfold to billions

_NULL = "tag:yaml.org,2002:null"
_STRING = "tag:yaml.org,2002:str"
_MERGE = "tag:yaml.org,2002:merge"
_MAPPING = "tag:yaml.org,2002:map"
_SEQUENCE = "tag:yaml.org,2002:seq"


def read_yaml(text: str, *, file: str, first_line: int = 1) -> Document:
    """Read one YAML document; `first_line` is where its text starts in the file.

    A duplicate key, a key that is not text, or a value that JSON has no word for is a problem of its own and does not
    hide the others. Raises ManifestError when the text is no YAML at all, or unfolds to too much.
    """
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            refuse("there is nothing in here; a plan has at least `tasks`", file, first_line)
        return _YamlReader(loader, file, first_line).read(node)
    except yaml.reader.ReaderError as error:
        line = first_line + text.count("\n", 0, error.position)
        refuse(f"the character U+{error.character:04X} cannot stand in YAML", file, line, error)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = ": ".join(part for part in (error.context, error.problem) if part)
        refuse(f"this is not valid YAML: {what}", file, first_line + mark.line if mark else first_line, error)
    except RecursionError as error:
        refuse("this is nested too deeply", file, first_line, error)


class _YamlReader:
    """Turns YAML nodes into plain data; PyYAML reads the scalars, the rest is ours, since only nodes know lines."""

    def __init__(self, loader: yaml.SafeLoader, file: str, first_line: int) -> None:
        self._loader = loader
        self._file = file
        self._first_line = first_line
        self._lines: dict[Location, int] = {}
        self._problems: list[Problem] = []
        self._values = 0

    def read(self, node: yaml.Node) -> Document:
        self._lines[()] = self._line(node)
        data = self._value(node, ())
        # A mapping that is merged or aliased is read, and complained about, at every place it is used.
        return Document(data, self._file, self._lines, tuple(dict.fromkeys(self._problems)))

    def _line(self, node: yaml.Node) -> int:
        return self._first_line + int(node.start_mark.line)

    def _report(self, message: str, node: yaml.Node) -> None:
        self._problems.append(Problem(message, self._file, self._line(node)))

    def _value(self, node: yaml.Node, location: Location) -> object:
        self._values += 1
        if self._values > _MOST_VALUES:
            refuse(
                f"this unfolds to more than {_MOST_VALUES} values; are aliases multiplying?",
                self._file,
                self._line(node),
            )
        if len(location) > DEEPEST_NESTING:
            refuse("this is nested too deeply", self._file, self._line(node))
        if isinstance(node, yaml.MappingNode) and node.tag == _MAPPING:
            return self._mapping(node, location)
        if isinstance(node, yaml.SequenceNode) and node.tag == _SEQUENCE:
            return self._sequence(node, location)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        self._report(f"the tag {node.tag!r} has no meaning in a plan", node)
        return None

    def _sequence(self, node: yaml.SequenceNode, location: Location) -> list[object]:
        items: list[object] = []
        for index, item in enumerate(node.value):
            self._lines[*location, index] = self._line(item)
            items.append(self._value(item, (*location, index)))
        return items

    def _mapping(self, node: yaml.MappingNode, location: Location) -> dict[str, object]:
        # What `<<` brings is read first, so that a key given here takes the place, and the line, of a merged one.
        found: dict[str, object] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                found.update(self._merged(value_node, location))
        own_lines: dict[str, int] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            if key is None:
                continue
            if key in own_lines:
                self._report(f"the key {key!r} is given twice (first in line {own_lines[key]})", key_node)
                continue
            own_lines[key] = self._lines[*location, key] = self._line(key_node)
            found[key] = self._value(value_node, (*location, key))
        return found

    def _merged(self, node: yaml.Node, location: Location) -> dict[str, object]:
        sources = node.value if isinstance(node, yaml.SequenceNode) else [node]
        found: dict[str, object] = {}
        for source in reversed(sources):  # of several, the first one counts
            if isinstance(source, yaml.MappingNode):
                found.update(self._mapping(source, location))
            else:
                self._report("`<<` takes a mapping or a list of mappings", source)
        return found

    def _key(self, node: yaml.Node) -> str | None:
        if not isinstance(node, yaml.ScalarNode):
            self._report("a key must be text", node)
            return None
        if node.tag == _MERGE:
            return None
        if node.tag != _STRING:
            self._report(f"YAML does not read the key {node.value} as text; put it in quotes", node)
            return None
        return str(node.value)

    def _scalar(self, node: yaml.ScalarNode) -> object:
        if node.tag == _NULL:
            return None
        try:
            value = self._loader.construct_object(node)
        except (yaml.constructor.ConstructorError, ValueError) as error:
            what = error.problem if isinstance(error, yaml.constructor.ConstructorError) else error
            self._report(f"{node.value[:40]!r} cannot be read: {what}", node)
            return None
        if isinstance(value, str | int | float):  # a bool is an int
            return value
        self._report(f"YAML reads {node.value[:40]} as a {type(value).__name__}; put it in quotes", node)
        return str(node.value)


def write_yaml(data: Mapping[str, object]) -> str:
    """The data as YAML, keys in their order, and text of several lines as a block wherever YAML can carry it so."""
    return yaml.dump(data, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=sys.maxsize)


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 - PyYAML names and calls it
        return True


def _represent_text(dumper: yaml.SafeDumper, text: str) -> yaml.ScalarNode:
    # Outside double quotes YAML takes some characters, such as U+0085, for line breaks.
    if not all(line.isprintable() for line in text.split("\n")):
        return dumper.represent_scalar(_STRING, text, style='"')
    return dumper.represent_scalar(_STRING, text, style="|" if "\n" in text else None)


_Dumper.add_representer(str, _represent_text)
