"""One plan for all agent CLIs: a diamond and a chain, one task of which first breaks a test, in a hostile repository.

It is run once (fixture `landed`); several files of tests look at what came of it.
"""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from graftline.errors import ExitCode
from graftline.ledger import Call, Ledger
from graftline.store import RunFolder
from tests.e2e.clis import CLAUDE, CODEX, GEMINI, OPENCODE, Cli
from tests.e2e.graftline_process import Agents, Finished, Graftline, new_repository
from tests.e2e.trap import Trap
from tests.model_server import ModelServer, RequestRecord

HEAL_MATCH = "# Failing tests"
DRAFT = "# a draft"


@dataclass(frozen=True)
class Step:
    """One task: its agent, what it waits for, and the file that is written once those of the tasks before are read.

    `faults` are what meets a turn at first, by its number.
    """

    id: str
    cli: Cli
    after: tuple[str, ...]
    path: str
    content: str
    overwrites: bool = False
    faults: Mapping[int, Mapping[str, object]] | None = None

    @property
    def prompt(self) -> str:
        """Words that only this task's prompt holds, and characters that templates, shells and Markdown would change."""
        return f'BUILD-{self.id}: write `{self.path}`.\n\n    keep "this" & {{that}}, $HOME, \\n, 100 %, <b>Ünïcödé</b>'

    @property
    def subject(self) -> str:
        """Of the commit that the agent makes itself."""
        return f"Committed by the agent of {self.id}"


REFUSED_ONCE = {0: {"error": "rate_limit", "times": 1, "retry_after_seconds": 0}}
STEPS = (
    Step("stock", CODEX, (), "shop/stock.py", 'STOCK = {"pen": "125", "ink": "$2.50"}\n', faults=REFUSED_ONCE),
    Step(
        "search",
        GEMINI,
        ("stock",),
        "shop/search.py",
        "from shop.stock import STOCK\n\nNAMES = sorted(STOCK)\n",
        faults=REFUSED_ONCE,
    ),
    # Reads cents as dollars, which the test that is already there does not accept.
    Step(
        "prices",
        CLAUDE,
        ("stock",),
        "shop/items.py",
        "def parse(text):\n    return round(float(text) * 100)\n",
        overwrites=True,
        faults=REFUSED_ONCE,
    ),
    Step(
        "summary",
        OPENCODE,
        ("search", "prices"),
        "shop/summary.py",
        "from shop.search import NAMES\n\nTEXT = ', '.join(NAMES)\n",
        faults=REFUSED_ONCE,
    ),
    Step("command", CODEX, ("summary",), "shop/__main__.py", "from shop.summary import TEXT\n\nprint(TEXT)\n"),
    # It then asks for a plain answer, whose usage its last event counts in one of two places only.
    Step("guide", CLAUDE, ("command",), "GUIDE.md", "Run `python -m shop`.\n", faults={4: {"drop": True, "times": 1}}),
)
BY_ID = {step.id: step for step in STEPS}
HEALED = "def parse(text):\n    return round(float(text[1:]) * 100) if text.startswith('$') else int(text)\n"
FAILING_TEST = "tests/test_items.py::test_a_price_is_in_cents"
PROJECT = {
    "shop/__init__.py": "",
    "shop/items.py": "def parse(text):\n    return int(text)\n",
    "tests/test_items.py": (
        "from shop.items import parse\n\n\ndef test_a_price_is_in_cents():\n    assert parse('125') == 125\n"
    ),
}
SCRIPTED = "scripted"
"""The task of a program that is no agent CLI and gets no key."""


def plan() -> str:
    """The plan as a person writes it: structure in front, prompts below."""
    tasks: list[dict[str, object]] = [
        {"id": step.id, "title": f"Title of {step.id}", "depends_on": step.after, "agent": step.cli.profile}
        for step in STEPS
    ]
    tasks.append({"id": SCRIPTED, "agent": "scripted-program"})
    front = json.dumps({"version": "1", "title": "Grow the shop", "tasks": tasks})
    prompts = [f"## {step.id}\n\n{step.prompt}\n" for step in STEPS]
    return "\n".join([f"---\n{front}\n---\n", *prompts, f"## {SCRIPTED}\n\nNote your environment.\n"])


def scenario() -> dict[str, object]:
    """What the model says to each agent; a heal call quotes its task's prompt, so its scenario comes first."""
    heal = {
        "match": HEAL_MATCH,
        "turns": [
            {
                "tools": [{"write": {"path": "shop/items.py", "content": HEALED, "overwrite": True}}],
                "usage": {"input_tokens": 2100, "output_tokens": 130, "cache_read_tokens": 700},
            },
            {"text": "Plain numbers are cents again."},
        ],
    }
    return {"scenarios": [heal, *(_task_scenario(number, step) for number, step in enumerate(STEPS))]}


def _task_scenario(number: int, step: Step) -> dict[str, object]:
    """Read, write a draft, edit it, commit, and say so."""
    draft = {"path": step.path, "content": f"{DRAFT}\n{step.content}", "overwrite": step.overwrites}
    turns: list[dict[str, object]] = [
        {"tools": [{"read": BY_ID[name].path} for name in step.after] or [{"read": "shop/items.py"}]},
        {
            "tools": [{"write": draft}],
            "usage": {
                "input_tokens": 1000 + 111 * number,
                "output_tokens": 70 + number,
                "cache_read_tokens": 200 + 10 * number,
            },
        },
        {"tools": [{"edit": {"path": step.path, "old": f"{DRAFT}\n", "new": ""}}]},
        {"tools": [{"bash": f"git add -A && git commit -qm {shlex.quote(step.subject)}"}]},
        {"text": f"{step.path} is written."},
    ]
    faults = step.faults or {}
    return {"match": f"BUILD-{step.id}:", "turns": [{**turn, **faults.get(at, {})} for at, turn in enumerate(turns)]}


@dataclass(frozen=True)
class Landed:
    """The one run that all its tests look at."""

    finished: Finished
    repository: Path
    folder: RunFolder
    state_dir: Path
    agents: Agents
    trap: Trap
    requests: tuple[RequestRecord, ...]
    calls: tuple[Call, ...]
    environments: Mapping[str, str]

    def requests_of(self, cli: Cli) -> list[RequestRecord]:
        """What a CLI asked the model, in order."""
        return [record for record in self.requests if record.namespace == cli.type]

    def prompt_of(self, step: Step, *, heal: bool = False) -> str:
        """What the agent of a task, or its healer, was told."""
        return next(
            record.text
            for record in self.requests
            if record.scenario and step.prompt in record.text and (HEAL_MATCH in record.text) == heal
        )


def run_mixed_plan(programs: Mapping[Cli, Path], state_dir: Path, folder: Path) -> Landed:
    """Run the plan to its end, in a folder of its own."""
    home, environments = folder / "home", folder / "environments"
    home.mkdir()
    environments.mkdir()
    with ModelServer() as server, ModelServer() as thief:
        for model in (server, thief):  # who is redirected must not notice
            model.scenario(scenario())
        trap = Trap.lay(folder / "sprung", thief)
        agents = Agents.around(programs, folder / "agents", server)
        files = {**PROJECT, **trap.files, **_programs(environments)}
        repository = new_repository(folder / "repository", files, _settings(agents))
        graftline = Graftline(agents, state_dir, home)
        finished = graftline.run_plan(repository, plan())
        assert finished.status == ExitCode.SUCCESS, finished.stdout + finished.stderr
        report = finished.report
        return Landed(
            finished=finished,
            repository=repository,
            folder=graftline.folder_of(report),
            state_dir=state_dir,
            agents=agents,
            trap=trap,
            requests=server.requests(),
            calls=Ledger.open(state_dir).account(report.flow_run_id).calls,
            environments={path.name: path.read_text() for path in environments.iterdir()},
        )


def _programs(environments: Path) -> dict[str, str]:
    """What else graftline starts in the repository; each notes the environment it was given."""

    def note(name: str) -> str:
        return f"env > {shlex.quote(str(environments / name))}\n"

    return {
        "setup.sh": note("setup"),
        "program.sh": f"{note('program')}echo noted > noted.txt\n",
        "conftest.py": f"import os\nos.system({note('tests').strip()!r})\n",
    }


def _settings(agents: Agents) -> str:
    program = '[agents.scripted-program]\ntype = "command"\ncommand = ["sh", "program.sh"]\ncost_usd = 0.0\n'
    return f'[worktree]\nsetup = ["sh setup.sh"]\n{program}{agents.profiles()}'
