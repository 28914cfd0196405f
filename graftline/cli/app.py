"""The commands.

They are registered by name and imported when called, so that `--help` and `--version` answer at once: importing
Prefect alone takes two seconds.
"""

import os

from cyclopts import App, Parameter

from graftline import __version__
from graftline.cli.boundary import exit_code_of, nobody_listens

app = App(
    name="graftline",
    help="Run a plan of coding tasks with AI agents in parallel git worktrees; what lands is what was tested.",
    version=__version__,
    default_parameter=Parameter(show_default=False),  # most only say that something is not given
    suppress_keyboard_interrupt=False,  # it would turn into an exit before anybody can say what it ended
)
app.command("graftline.cli.run:run", name="run", help="Run a plan: agents, merge, tests, heal, landing.")
app.command("graftline.cli.resume:resume", name="resume", help="Go on with a run that did not come to its end.")
app.command("graftline.cli.answer:answer", name="answer", help="Answer what an agent asked; it goes on from there.")
app.command("graftline.cli.approve:approve", name="approve", help="Approve a plan that waits for it, or reject it.")
app.command("graftline.cli.abort:abort", name="abort", help="Stop a run from any terminal; nothing is lost.")
app.command("graftline.cli.plan:plan", name="plan", help="Make a plan or check one, and show what it may cost.")
app.command("graftline.cli.inspect:status", name="status", help="Show how a run stands or ended.")
app.command("graftline.cli.inspect:logs", name="logs", help="Show what an agent printed.")
app.command("graftline.cli.work:diff", name="diff", help="Show the work of a run or of one of its tasks.")
app.command("graftline.cli.work:take", name="take", help="Fetch the work of a run into a branch of your repository.")
app.command("graftline.cli.clean:clean", name="clean", help="Remove what ended runs left on disk, but no work.")
app.command("graftline.cli.ui:ui", name="ui", help="Open the Prefect UI, on a run when one is named.")
app.command("graftline.cli.config:config", name="config", help="Show the effective settings and where each comes from.")
app.command("graftline.cli.doctor:doctor", name="doctor", help="Show which agents are installed, and what is missing.")
app.command("graftline.cli.demo:demo", name="demo", help="Run a 5-task plan with a scripted agent; needs no key.")
app.command("graftline.cli.version:version", name="version", help="Show the versions of graftline and what it uses.")


def main(arguments: list[str] | None = None) -> int:
    """Run one command; the process's exit code, as `graftline.errors.ExitCode` names them."""
    code = exit_code_of(lambda: app(arguments, exit_on_error=False, print_error=True, result_action="return_value"))
    if nobody_listens.is_set():
        os._exit(code)  # everything is said and written
    return code
