"""The last task run: the report, as files, as an artifact of the run and as its final state."""

from prefect import task
from prefect.artifacts import acreate_markdown_artifact
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.logging.handlers import APILogHandler
from prefect.states import Cancelled, Completed, Failed

from graftline.report.markdown import to_markdown
from graftline.report.model import Report, RunState, exit_code


@task(name="report", task_run_name="report", persist_result=False, cache_policy=NO_CACHE, log_prints=False)
async def publish_report(report: Report) -> None:
    """Put the report where people look at the run: its artifacts in the Prefect UI."""
    await acreate_markdown_artifact(to_markdown(report), key="report", description=report.reason)


def state_of(report: Report) -> State[None]:
    """The flow run's final state, with the sentence that a person can act on."""
    if report.state is RunState.CANCELLED:
        return Cancelled(message=report.reason)
    if exit_code(report) == 0:
        return Completed(message=report.reason)
    name = "Budget reached" if report.state is RunState.BUDGET_REACHED else "Failed"
    return Failed(name=name, message=report.reason)


async def flush_logs() -> None:
    """Send what is still queued of the run's logs: after this the local server may stop."""
    await APILogHandler.aflush()
