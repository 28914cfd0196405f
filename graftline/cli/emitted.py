"""Writes a plan as a Python file with a Prefect flow in it."""

from pathlib import Path

from graftline.errors import UserError
from graftline.plan import Plan
from graftline.store import run_name

TEMPLATE = '''"""{title}: a graftline plan as a Prefect flow, written from {source}.

    python {name}                                       runs it on the repository you are in
    prefect deploy {name}:build_plan --name {slug}      makes a deployment of it
"""

from prefect import flow
from prefect.client.schemas.objects import State

from graftline.flows.build import build
from graftline.plan import Plan
from graftline.request import BuildRequest

PLAN = Plan.model_validate_json(
    {plan}
)
REQUEST = BuildRequest(plan=PLAN)


@flow(name="{slug}", description={description}, persist_result=False, log_prints=False)
async def build_plan(request: BuildRequest = REQUEST) -> State[None]:
    """Build this plan; `request` may name another repository, target, agent or limits."""
    return await build.fn(request)


if __name__ == "__main__":
    from graftline.cli.run import run_request

    raise SystemExit(run_request(REQUEST))
'''


def write_flow(plan: Plan, *, source: Path, path: Path) -> None:
    """Write a Python file that holds the plan and runs it; an existing file is not overwritten.

    Raises:
        UserError: the file exists, or cannot be written.
    """
    title = plan.title or source.stem
    slug = run_name(title, "000000").rpartition("-")[0]
    text = TEMPLATE.format(
        title=title.replace("\\", "/").replace('"', "'"),
        source=source.name,
        name=path.name,
        slug=slug,
        description=ascii(title),
        plan=ascii(plan.model_dump_json(exclude_defaults=True)),
    )
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError as error:
        raise UserError(f"{path} exists: name another file, or remove it") from error
    except OSError as error:
        raise UserError(f"{path} cannot be written: {error.strerror}") from error
