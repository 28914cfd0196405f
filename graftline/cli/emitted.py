"""Writes a plan as a Python file with a Prefect flow in it, and runs such a file."""

import shlex
from pathlib import Path
from pprint import pformat

from graftline.cli.boundary import exit_code_of
from graftline.cli.run import run_request
from graftline.plan import Plan
from graftline.request import BuildRequest
from graftline.store import run_name
from graftline.text import plain_line

TEMPLATE = '''"""{title}: a graftline plan as a Prefect flow, written from {source}.

Run it on the repository you are in:     python {name}
Make a deployment of it:                 prefect deploy {entrypoint} --name {slug} --pool POOL
"""

from graftline.plan import Plan
from graftline.request import BuildRequest

PLAN = Plan.model_validate(
{plan}
)
REQUEST = BuildRequest(plan=PLAN)

if __name__ == "__main__":
    # Before Prefect is imported: it reads its server's address then, and the server may have to be started first.
    from graftline.cli.emitted import main

    raise SystemExit(main(REQUEST))

from prefect import flow
from prefect.client.schemas.objects import State

from graftline.flows.build import build


@flow(name={flow}, description={description}, persist_result=False, log_prints=False)
async def build_plan(request: BuildRequest = REQUEST) -> State[None]:
    """Build this plan; `request` may name another repository, target, agent or limits."""
    return await build.fn(request)
'''
TITLE_CHARACTERS = 200
LITERAL_WIDTH = 112


def main(request: BuildRequest) -> int:
    """Run an emitted plan on the repository it is started in, as `graftline run` does; the process's exit code."""
    return exit_code_of(lambda: run_request(request))


def flow_text(plan: Plan, *, source: str, name: str) -> str:
    """The file's text. Whatever the plan holds, it stays data: it is written as Python literals."""
    title = plan.title or Path(source).stem
    slug = run_name(title, "000000").rpartition("-")[0]
    literal = pformat(plan.model_dump(mode="json", exclude_defaults=True), width=LITERAL_WIDTH, sort_dicts=False)
    return TEMPLATE.format(
        title=_in_docstring(title),
        source=_in_docstring(source),
        name=_in_docstring(shlex.quote(name)),
        entrypoint=_in_docstring(shlex.quote(f"{name}:build_plan")),
        slug=slug,
        flow=repr(slug),
        description=ascii(title),
        plan="\n".join(f"    {line}" for line in literal.split("\n")),
    )


def _in_docstring(text: str) -> str:
    """The text where it cannot end or bend the docstring it stands in."""
    return plain_line(text, TITLE_CHARACTERS).replace("\\", "/").replace('"', "'")
