"""The words in which a model is asked: Jinja2 templates of the package, or a repository's own in their place.

A repository's templates are a stranger's text like the rest of it: they run in Jinja's sandbox, can reach nothing but
the values they are given and the templates beside them, and are tried out before anything is asked.
"""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Literal, get_args

from jinja2 import BaseLoader, DictLoader, StrictUndefined
from jinja2.exceptions import TemplateError, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from graftline.dependencies import nearest
from graftline.errors import SettingsError
from graftline.git.folders import is_real_folder
from graftline.text import fenced

TEMPLATES_FOLDER: Final = Path(".graftline", "templates")
"""Where a repository keeps templates of its own, in its working tree, as graftline.toml is."""
_SUFFIX = ".md.j2"
_LARGEST_BYTES = 100_000
_DATA_CHARS = 400_000
# A template is a program: beside Jinja's own errors it may end in those of the values that it works with.
_FAILURES = (TemplateError, ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)

TemplateName = Literal["planner", "request", "rejection", "repair", "critic", "review", "revision", "task", "patch"]

_TASK = {
    "id": "discount",
    "title": "Discounted prices",
    "what": "Add `discounted(price, percent)`.",
    "where": "`shop/prices.py` has the prices.",
    "contract": "`discounted(price: float, percent: float) -> float`",
    "done_when": ["A percentage outside 0 to 100 is a ValueError."],
    "depends_on": [{"task": "prices", "what": "the module `shop.prices`"}],
}
# Values like those that a template gets: what a repository's own cannot render, it could not render later either.
_SAMPLES: Mapping[TemplateName, Mapping[str, object]] = {
    "planner": {"max_tasks": 50, "tiers": ["fast", "deep"], "runner": "pytest"},
    "request": {"context": "# Files", "request": "Add discounts."},
    "rejection": {"comments": ["Too many tasks.", "Leave the README alone."]},
    "repair": {"problems": ["task 'discount': there is no task 'price'"], "number": 1, "tries": 4},
    "critic": {},
    "review": {"context": "# Files", "request": "Add discounts.", "plan": "{}"},
    "revision": {"findings": ["missing-dependency (discount): it uses prices"]},
    "task": {"task": _TASK},
    "patch": {
        "task": "discount",
        "standings": ["prices: finished", "discount: failed"],
        "attempts": [{"number": 1, "outcome": "failed", "detail": "", "last_message": "?", "changed": ["shop/a.py"]}],
    },
}


class Templates:
    """The templates that questions are put together from.

    `version` changes with every word of them: what was planned with one version may turn out otherwise with another.
    """

    def __init__(self, own: Mapping[str, str]) -> None:
        """Take a repository's own templates, by their name without the suffix, in place of the package's."""
        packaged = {
            name: (Path(__file__).parent / "templates" / f"{name}{_SUFFIX}").read_text()
            for name in get_args(TemplateName)
        }
        sources = {**packaged, **own}
        self.version = hashlib.sha256(json.dumps(sources, sort_keys=True).encode()).hexdigest()[:12]
        self._environment = _environment(DictLoader(sources))

    def render(self, name: TemplateName, /, **values: object) -> str:
        """The text of a template with values in it, which are never read as a template themselves.

        Raises:
            SettingsError: a repository's own template cannot be rendered.
        """
        try:
            return self._environment.get_template(name).render(values).strip() + "\n"
        except TemplateSyntaxError as error:
            raise SettingsError(f"{_place(error.name or name)}:{error.lineno}: {error.message}") from error
        except _FAILURES as error:
            raise SettingsError(f"{_place(name)}: cannot be rendered: {error}") from error


def load_templates(folder: Path) -> Templates:
    """The templates that hold for the repository at a folder, each tried out with values like those it will get.

    Raises:
        SettingsError: one of the repository's own is called like none of ours, or does not work.
    """
    own = _read_own(folder)
    templates = Templates(own)
    if own:
        for name, values in _SAMPLES.items():  # all of them, since one may include another
            templates.render(name, **values)
    return templates


def _environment(loader: BaseLoader) -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        loader=loader,
        undefined=StrictUndefined,
        autoescape=False,  # a model reads it, not a browser
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["data"] = _data
    return environment


def _data(value: str | list[str]) -> str:
    """A text, or a list as its lines, as a block that it cannot close: data for the model, never instructions."""
    return fenced(value if isinstance(value, str) else "\n".join(f"- {line}" for line in value), _DATA_CHARS)


def _read_own(folder: Path) -> dict[str, str]:
    """The repository's own templates by name; what is no plain file of a bearable size in there is an error."""
    place = folder / TEMPLATES_FOLDER
    if not is_real_folder(place.parent) or not is_real_folder(place):
        return {}
    own: dict[str, str] = {}
    known = [f"{name}{_SUFFIX}" for name in get_args(TemplateName)]
    for path in sorted(place.iterdir()):
        shown = TEMPLATES_FOLDER / path.name
        if path.name not in known:
            raise SettingsError(
                f"{shown}: there is no such template{nearest(path.name, known)}; there are {', '.join(known)}"
            )
        if path.is_symlink() or not path.is_file() or path.stat().st_size > _LARGEST_BYTES:
            raise SettingsError(f"{shown}: a template is a file of at most {_LARGEST_BYTES // 1000} kB, and no link")
        try:
            own[path.name.removesuffix(_SUFFIX)] = path.read_text()
        except (OSError, UnicodeDecodeError) as error:
            raise SettingsError(f"{shown}: cannot be read as UTF-8 text: {error}") from error
    return own


def _place(name: str) -> Path:
    return TEMPLATES_FOLDER / f"{name}{_SUFFIX}"
