"""The task runs of verification: the base once, then each candidate."""

from prefect import task
from prefect.cache_policies import NO_CACHE

from graftline.run import live_run
from graftline.verification import Verified, verify_base, verify_candidate


@task(name="baseline", task_run_name="baseline", persist_result=False, cache_policy=NO_CACHE, log_prints=False)
async def baseline(run_id: str) -> None:
    """Run the suite on the base, so that a test that was red before is nobody's failure."""
    await verify_base(live_run(run_id))


@task(name="verify", task_run_name="verify {label}", persist_result=False, cache_policy=NO_CACHE, log_prints=False)
async def verify(run_id: str, commit: str, label: str, *, number: int = 0, fresh: bool = False) -> Verified:
    """Run the suite on a candidate and judge it against the base."""
    return await verify_candidate(live_run(run_id), commit, label, number=number, fresh=fresh)
