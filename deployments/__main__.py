"""Prints where the installed package keeps its prefect.yaml, for `prefect deploy --prefect-file`."""

import sys
from pathlib import Path

sys.stdout.write(f"{Path(__file__).with_name('prefect.yaml').resolve()}\n")
