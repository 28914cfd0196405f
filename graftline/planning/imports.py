"""Which of the repository's own files a file imports, as far as the text of its import statements tells."""

import re
from collections.abc import Iterable, Mapping
from posixpath import normpath
from types import MappingProxyType

MAX_IMPORTS = 200
IMPORT_CHARS = 200
_MOST_TARGETS = 40
"""Files of a package that is imported as a whole."""

_JAVASCRIPT = re.compile(r"""(?:\bfrom|\bimport|\brequire\()\s*\(?["'](\.{1,2}/[^"'\n]*|\.{1,2})["']""")
_STATEMENTS: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        "c": re.compile(r'^[ \t]*#[ \t]*include[ \t]*"([^"\n]+)"', re.MULTILINE),
        "c++": re.compile(r'^[ \t]*#[ \t]*include[ \t]*["<]([^">\n]+)[">]', re.MULTILINE),
        "go": re.compile(r'^(?:import)?[ \t]*(?:[\w.]+[ \t]+)?"([\w.-]+\.[\w./-]+/[\w./-]+)"', re.MULTILINE),
        "java": re.compile(r"^[ \t]*import[ \t]+(?:static[ \t]+)?([\w.]+)", re.MULTILINE),
        "javascript": _JAVASCRIPT,
        "php": re.compile(r"^use[ \t]+(?:function[ \t]+|const[ \t]+)?\\?(\w+(?:\\\w+)+)", re.MULTILINE),
        "ruby": re.compile(r"""^[ \t]*require(?:_relative)?[ \t(]*["']([\w./-]+)["']""", re.MULTILINE),
        "rust": re.compile(
            r"^[ \t]*(?:pub(?:\([^)\n]*\))?[ \t]+)?(mod[ \t]+\w+(?=;)|use[ \t]+\w+(?:::\w+)*)", re.MULTILINE
        ),
        "typescript": _JAVASCRIPT,
        "tsx": _JAVASCRIPT,
    }
)
_PYTHON = re.compile(
    r"^[ \t]*(?:from[ \t]+(?P<module>\.*[\w.]*)[ \t]+import[ \t]+(?:\((?P<several>[^)]{0,4000})\)|(?P<names>[^\n]*))"
    r"|import[ \t]+(?P<modules>[^\n]*))",
    re.MULTILINE,
)
_SCRIPT_SUFFIXES = (".ts", ".tsx", ".js", ".jsx", ".mjs", ".cjs", ".mts", ".cts")


def find_imports(language: str, text: str) -> tuple[str, ...]:
    """What the file's import statements name, as the language spells it, each once."""
    if language == "python":
        found = _python_imports(text)
    else:
        pattern = _STATEMENTS.get(language)
        found = pattern.findall(text) if pattern else []
    return tuple(dict.fromkeys(name for name in found if 0 < len(name) <= IMPORT_CHARS))[:MAX_IMPORTS]


def _python_imports(text: str) -> list[str]:
    found = []
    for match in _PYTHON.finditer(text):
        if match["modules"]:
            found += [part.split(" as ")[0].strip() for part in match["modules"].partition("#")[0].split(",")]
        elif match["module"]:
            lines = (match["several"] or match["names"] or "").splitlines()
            names = ",".join(line.partition("#")[0] for line in lines).split(",")
            stems = [name.split(" as ")[0].strip() for name in names]
            dot = "" if match["module"].endswith(".") else "."
            found += [f"{match['module']}{dot}{name}" for name in stems if name.isidentifier()] or [match["module"]]
    return found


class ImportResolver:
    """Turns what import statements name into tracked files; what is not found is not the repository's own."""

    def __init__(self, paths: Iterable[str]) -> None:
        self.paths = frozenset(paths)
        # By file name without its suffix, so that the end of a path is compared with few others.
        self._by_stem: dict[str, list[str]] = {}
        self._by_folder: dict[str, list[str]] = {}
        self._endings: dict[tuple[str, str], list[str]] = {}
        for path in sorted(self.paths):
            pure = path.rpartition("/")
            self._by_stem.setdefault(pure[2].partition(".")[0], []).append(path)
            self._by_folder.setdefault(pure[0], []).append(path)

    def resolve(self, path: str, language: str, names: Iterable[str]) -> tuple[str, ...]:
        """The tracked files that a file imports, each once, in the order of its statements."""
        found = dict.fromkeys(target for name in names for target in self._targets(path, language, name))
        found.pop(path, None)
        return tuple(found)

    def _targets(self, path: str, language: str, name: str) -> Iterable[str]:
        folder = path.rpartition("/")[0]
        match language:
            case "python":
                return self._python(folder, name)
            case "javascript" | "typescript" | "tsx":
                return self._script(folder, name)
            case "java":
                return self._java(name.split("."))
            case "php":
                return self._ending(path, name.split("\\"), ".php", least=2)
            case "go":
                return self._go(name)
            case "rust":
                return self._rust(path, name)
            case "ruby":
                return self._beside(folder, f"{name}.rb") or self._ending(path, name.split("/"), ".rb", least=1)
            case "c" | "c++":
                stem, _, suffix = name.rpartition(".")
                return self._beside(folder, name) or self._ending(path, stem.split("/"), f".{suffix}", least=1)
        return ()

    def _beside(self, folder: str, name: str) -> list[str]:
        place = normpath(f"{folder}/{name}").lstrip("/")
        return [place] if place in self.paths else []

    def _ending(self, path: str, parts: list[str], suffix: str, *, least: int) -> list[str]:
        """The file whose path ends in most of the parts, at least `least` of them; of several, the nearest."""
        name = ("/".join(parts), suffix)
        if name not in self._endings:  # the same few names are imported everywhere
            self._endings[name] = self._longest_endings(parts, suffix, min(least, len(parts)))
        best = self._endings[name]
        if len(best) < 2:
            return best
        own = path.split("/")
        return [max(best, key=lambda candidate: _shared(candidate.split("/"), own))]

    def _longest_endings(self, parts: list[str], suffix: str, least: int) -> list[str]:
        candidates = [path for path in self._by_stem.get(parts[-1], ()) if path.endswith(suffix)]
        shared = [_shared(reversed(path.removesuffix(suffix).split("/")), reversed(parts)) for path in candidates]
        most = max(shared, default=0)
        return [path for path, count in zip(candidates, shared, strict=True) if count == most >= least]

    def _python(self, folder: str, name: str) -> list[str]:
        dots = len(name) - len(name.lstrip("."))
        parts = name.lstrip(".").split(".")
        if dots:
            base = folder.split("/") if folder else []
            if dots - 1 > len(base):
                return []
            roots = ["/".join(base[: len(base) - dots + 1])]
        else:
            roots = ["", "src", "lib"]
        for root in roots:
            for length in range(len(parts), 0, -1):
                place = "/".join([*([root] if root else []), *parts[:length]])
                for candidate in (f"{place}.py", f"{place}/__init__.py", f"{place}.pyi"):
                    if candidate in self.paths:
                        return [candidate]
            if dots and f"{root}/__init__.py" in self.paths:
                return [f"{root}/__init__.py"]
        return []

    def _script(self, folder: str, name: str) -> list[str]:
        place = normpath(f"{folder}/{name}").lstrip("/")
        stem = re.sub(r"\.[cm]?jsx?$", "", place)  # TypeScript imports what will be compiled
        for candidate in (
            place,
            *(f"{stem}{suffix}" for suffix in _SCRIPT_SUFFIXES),
            *(f"{place}{suffix}" for suffix in _SCRIPT_SUFFIXES),
            *(f"{place}/index{suffix}" for suffix in _SCRIPT_SUFFIXES),
        ):
            if candidate in self.paths:
                return [candidate]
        return []

    def _java(self, parts: list[str]) -> list[str]:
        # A static import ends in a member, and an import may name a nested class.
        for length in range(len(parts), max(len(parts) - 2, 1), -1):
            tail = "/" + "/".join(parts[:length]) + ".java"
            found = [path for path in self._by_stem.get(parts[length - 1], ()) if f"/{path}".endswith(tail)]
            if found:
                return found[:1]
        return []

    def _go(self, name: str) -> list[str]:
        parts = name.split("/")
        for start in range(1, len(parts)):
            files = self._by_folder.get("/".join(parts[start:]))
            if files:
                code = [path for path in files if path.endswith(".go") and not path.endswith("_test.go")]
                return code[:_MOST_TARGETS]
        return []

    def _rust(self, path: str, name: str) -> list[str]:
        kind, _, rest = name.partition(" ")
        folder, _, file = path.rpartition("/")
        if kind == "mod":
            base = folder if file in ("mod.rs", "lib.rs", "main.rs") else path.removesuffix(".rs")
            return next(
                ([place] for place in (f"{base}/{rest}.rs", f"{base}/{rest}/mod.rs") if place in self.paths), []
            )
        head, *parts = rest.strip().split("::")
        source = path.split("/")
        if head == "crate" and "src" in source:
            root = "/".join(source[: source.index("src") + 1])
        elif head in ("self", "super"):
            own = folder if file in ("mod.rs", "lib.rs", "main.rs") else path.removesuffix(".rs")
            root = own if head == "self" else own.rpartition("/")[0]
        else:
            libraries = [one for one in self._by_stem.get("lib", ()) if one.endswith(f"/{head}/src/lib.rs")]
            if not libraries:
                return []
            root = libraries[0].removesuffix("/lib.rs")
            if not parts:
                return libraries[:1]
        for length in range(len(parts), 0, -1):
            place = "/".join([root, *parts[:length]])
            for candidate in (f"{place}.rs", f"{place}/mod.rs"):
                if candidate in self.paths:
                    return [candidate]
        return [f"{root}/lib.rs"] if f"{root}/lib.rs" in self.paths else []


def _shared(one: Iterable[str], other: Iterable[str]) -> int:
    """How many first elements two sequences share."""
    count = 0
    for left, right in zip(one, other, strict=False):
        if left != right:
            break
        count += 1
    return count
