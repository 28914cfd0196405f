"""The commands, and the one place where an error becomes a message and an exit code.

Commands are registered by name and imported when called, so that `--help` and `--version` answer at once: importing
Prefect alone takes two seconds.
"""

import logging
import sys
import traceback

from cyclopts import App, CycloptsError

from graftline import __version__
from graftline.errors import ExitCode, GraftlineError

app = App(
    name="graftline",
    help="Run a plan of coding tasks with AI agents in parallel git worktrees; what lands is what was tested.",
    version=__version__,
)
app.command("graftline.cli.run:run", name="run", help="Run a plan: agents, merge, tests, heal, landing.")
app.command("graftline.cli.plan:plan", name="plan", help="Check a plan file and show it; write it as a Prefect flow.")
app.command("graftline.cli.inspect:status", name="status", help="Show how a run stands or ended.")
app.command("graftline.cli.inspect:logs", name="logs", help="Show what an agent printed.")
app.command("graftline.cli.work:diff", name="diff", help="Show the work of a run or of one of its tasks.")
app.command("graftline.cli.work:take", name="take", help="Fetch the work of a run into a branch of your repository.")
app.command("graftline.cli.ui:ui", name="ui", help="Open the Prefect UI, on a run when one is named.")
app.command("graftline.cli.config:config", name="config", help="Show the effective settings and where each comes from.")
app.command("graftline.cli.demo:demo", name="demo", help="Run a 5-task plan with a scripted agent; needs no key.")
app.command("graftline.cli.version:version", name="version", help="Show the versions of graftline and what it uses.")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the process's exit code, as `graftline.errors.ExitCode` names them."""
    try:
        code = app(arguments, exit_on_error=False, print_error=True, result_action="return_value")
    except CycloptsError:
        return ExitCode.BAD_INPUT
    except GraftlineError as error:
        sys.stderr.write(f"graftline: {error}\n")
        return error.exit_code
    except KeyboardInterrupt:
        return ExitCode.SIGINT
    except BrokenPipeError:  # `graftline logs … | head`
        sys.stderr.close()
        return ExitCode.SUCCESS
    except Exception:  # noqa: BLE001  the outermost boundary: a defect of ours ends with a trace and its own exit code
        logging.getLogger(__name__).debug("defect", exc_info=True)
        sys.stderr.write(
            "graftline: this is a defect in graftline, not in your plan. Nothing that was finished is lost.\n"
            f"Please report it with this trace (graftline {__version__}):\n{traceback.format_exc()}"
        )
        return ExitCode.DEFECT
    return code if isinstance(code, int) else ExitCode.SUCCESS
