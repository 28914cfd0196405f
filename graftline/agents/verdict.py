"""How a call ended that came to no final event, whichever CLI it was."""

from graftline.agents.evidence import classify_refusal
from graftline.agents.outcome import OutcomeKind
from graftline.process import Ending, ProcessResult

DETAIL_CHARS = 2_000
ENDED_BY_US = (Ending.TIMED_OUT, Ending.STALLED)
# Exit statuses of a shell's or node's signal death, SIGINT and SIGTERM.
INTERRUPTED_STATUSES = (130, 143)


def judge_cut_short(
    process: ProcessResult, *, waiting: str = "", code: str = "", own_words: str | None = None
) -> tuple[OutcomeKind, str]:
    """Kind and detail of a call without a final event.

    `waiting` says what the CLI was waiting for when its output ended, `code` is its own last name for an error,
    `own_words` what of its stderr no tool has said; all of it when left out. What graftline itself did goes first, then
    these, then how the process ended.
    """
    if process.ending is Ending.TIMED_OUT:
        return OutcomeKind.TIMED_OUT, sentence(f"ended after {process.seconds:.0f} s, its time limit", waiting)
    if process.ending is Ending.STALLED:
        return OutcomeKind.STALLED, sentence(f"ended after {process.seconds:.0f} s: {process.stall}", waiting)
    words = process.stderr_tail if own_words is None else own_words
    refusal = classify_refusal(status=None, code=code, text=words)
    if refusal is not None:
        return refusal, process.stderr_tail or code
    if process.status < 0 or process.status in INTERRUPTED_STATUSES:
        return OutcomeKind.INTERRUPTED, sentence(f"interrupted from outside (status {process.status})", waiting)
    return OutcomeKind.FAILED, sentence(
        f"ended with status {process.status} and no final event", process.stderr_tail or waiting
    )


def sentence(claim: str, cause: str) -> str:
    """A claim, with its cause when there is one."""
    return f"{claim}; {cause}" if cause else claim
