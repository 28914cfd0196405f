"""The command line: what a person types, and the exit code it ends with."""

from graftline.cli.app import main

__all__ = ["main"]
