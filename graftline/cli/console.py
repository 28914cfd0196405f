"""Where people read: a terminal, a pipe or a file, which may go away while a run goes on."""

import contextlib

from rich.console import Console
from rich.text import Text


class PatientConsole(Console):
    """A console that says nothing more once nobody reads it; Rich's own ends the program, and a run with it."""

    def on_broken_pipe(self) -> None:
        """Fall silent."""
        self.quiet = True

    def say(self, text: str) -> None:
        """Print a sentence or several lines as they are: nothing in them is markup, and nothing is wrapped."""
        with contextlib.suppress(OSError):  # a terminal that was closed
            self.print(Text(text), soft_wrap=True)


def stderr_console() -> PatientConsole:
    """Where a command says what it does."""
    return PatientConsole(stderr=True, highlight=False)


def stdout_console() -> PatientConsole:
    """Where a command puts what was asked for."""
    return PatientConsole(highlight=False)
