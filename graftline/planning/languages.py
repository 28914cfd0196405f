"""The languages whose files are parsed: which files they are, the grammar, and what in it defines and uses a name."""

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tree_sitter import Language, Query

# What the grammars' own queries leave out: mostly names of types where they are used, and names that are imported.
_C = "(type_identifier) @name @reference.type (call_expression function: (identifier) @name) @reference.call"
_CPP = f"""
{_C}
(call_expression function: (field_expression field: (field_identifier) @name)) @reference.call
(call_expression function: (qualified_identifier name: (identifier) @name)) @reference.call
(namespace_definition name: (namespace_identifier) @name) @definition.module
"""
_C_SHARP = """
(class_declaration name: (identifier) @name) @definition.class
(struct_declaration name: (identifier) @name) @definition.class
(record_declaration name: (identifier) @name) @definition.class
(enum_declaration name: (identifier) @name) @definition.class
(interface_declaration name: (identifier) @name) @definition.interface
(method_declaration name: (identifier) @name) @definition.method
(property_declaration name: (identifier) @name) @definition.field
(invocation_expression function: (identifier) @name) @reference.call
(invocation_expression function: (member_access_expression name: (identifier) @name)) @reference.call
(object_creation_expression type: (identifier) @name) @reference.class
(base_list (identifier) @name) @reference.class
(parameter type: (identifier) @name) @reference.type
(variable_declaration type: (identifier) @name) @reference.type
"""
_GO = """
(var_declaration (var_spec name: (identifier) @name) @definition.variable)
(const_declaration (const_spec name: (identifier) @name) @definition.constant)
"""
_JAVA = """
(type_identifier) @name @reference.type
(enum_declaration name: (identifier) @name) @definition.class
(record_declaration name: (identifier) @name) @definition.class
(annotation_type_declaration name: (identifier) @name) @definition.interface
(marker_annotation name: (identifier) @name) @reference.type
(annotation name: (identifier) @name) @reference.type
"""
_JAVASCRIPT = """
(import_specifier name: (identifier) @name) @reference.import
(new_expression constructor: (identifier) @name) @reference.class
"""
_PHP = """
(enum_declaration name: (name) @name) @definition.class
(named_type (name) @name) @reference.type
(base_clause (name) @name) @reference.class
(object_creation_expression (name) @name) @reference.class
(scoped_call_expression scope: (name) @name) @reference.class
(class_constant_access_expression . (name) @name) @reference.class
(attribute (name) @name) @reference.class
(function_call_expression function: (name) @name) @reference.call
"""
_PYTHON = """
(import_from_statement name: (dotted_name (identifier) @name)) @reference.import
(import_from_statement name: (aliased_import name: (dotted_name (identifier) @name))) @reference.import
(type (identifier) @name) @reference.type
(class_definition superclasses: (argument_list (identifier) @name)) @reference.class
(decorator (identifier) @name) @reference.call
(attribute attribute: (identifier) @name) @reference.attribute
"""
_RUST = """
(type_identifier) @name @reference.type
(use_list (identifier) @name) @reference.import
(scoped_identifier name: (identifier) @name) @reference.import
(const_item name: (identifier) @name) @definition.constant
"""
_TYPESCRIPT = (
    "(type_identifier) @name @reference.type (type_alias_declaration name: (type_identifier) @name) @definition.type"
)


@dataclass(frozen=True)
class _Grammar:
    """Where a grammar is (`module`), what gives it (`function`), and what goes beside its own query (`additions`)."""

    module: str
    function: str = "language"
    additions: str = ""
    base: str = ""


_GRAMMARS: Mapping[str, _Grammar] = MappingProxyType(
    {
        "c": _Grammar("tree_sitter_c", additions=_C),
        "c++": _Grammar("tree_sitter_cpp", additions=_CPP),
        "c#": _Grammar("tree_sitter_c_sharp", additions=_C_SHARP),
        "go": _Grammar("tree_sitter_go", additions=_GO),
        "java": _Grammar("tree_sitter_java", additions=_JAVA),
        "javascript": _Grammar("tree_sitter_javascript", additions=_JAVASCRIPT),
        "php": _Grammar("tree_sitter_php", function="language_php", additions=_PHP),
        "python": _Grammar("tree_sitter_python", additions=_PYTHON),
        "ruby": _Grammar("tree_sitter_ruby"),
        "rust": _Grammar("tree_sitter_rust", additions=_RUST),
        # These grammars extend the one of JavaScript, and so do their queries.
        "typescript": _Grammar(
            "tree_sitter_typescript", function="language_typescript", additions=_TYPESCRIPT, base="javascript"
        ),
        "tsx": _Grammar("tree_sitter_typescript", function="language_tsx", additions=_TYPESCRIPT, base="javascript"),
    }
)
_SUFFIXES: Mapping[str, str] = MappingProxyType(
    {
        suffix: language
        for language, suffixes in {
            "c": ".c .h",
            "c++": ".cc .cpp .cxx .hh .hpp .hxx",
            "c#": ".cs",
            "go": ".go",
            "java": ".java",
            "javascript": ".js .cjs .mjs .jsx",
            "php": ".php",
            "python": ".py .pyi",
            "ruby": ".rb .rake",
            "rust": ".rs",
            "typescript": ".ts .cts .mts",
            "tsx": ".tsx",
        }.items()
        for suffix in suffixes.split()
    }
)


def language_of(path: str) -> str:
    """The language of a file, going by its name; empty for one that is not parsed."""
    return _SUFFIXES.get(path[path.rfind(".") :].lower(), "")


@cache
def grammar_version(language: str) -> str:
    """What the facts of a file in this language depend upon: the parser's version and the grammar's."""
    package = _GRAMMARS[language].module.replace("_", "-")
    return f"{version('tree-sitter')}/{version(package)}"


@cache
def load_grammar(language: str) -> "tuple[Language, Query]":
    """The grammar of a language and the query for its definitions and references."""
    # Only the process that parses loads them.
    from tree_sitter import Language, Query  # noqa: PLC0415 (see above)

    chosen = _GRAMMARS[language]
    module = importlib.import_module(chosen.module)
    base = importlib.import_module(_GRAMMARS[chosen.base].module).TAGS_QUERY if chosen.base else ""
    additions = (_GRAMMARS[chosen.base].additions if chosen.base else "") + chosen.additions
    grammar = Language(getattr(module, chosen.function)())
    return grammar, Query(grammar, f"{base}\n{module.TAGS_QUERY or ''}\n{additions}")
