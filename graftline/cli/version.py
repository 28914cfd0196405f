"""`graftline version`: what to put into a bug report."""

import platform
import sys
from importlib.metadata import version as installed

from graftline import __version__
from graftline.git.command import check_git


def version() -> int:
    """Show the versions of graftline, Python, Prefect and git."""
    versions = {
        "graftline": __version__,
        "Python": platform.python_version(),
        "Prefect": installed("prefect"),
        "git": check_git(),
    }
    sys.stdout.writelines(f"{name} {number}\n" for name, number in versions.items())
    return 0
