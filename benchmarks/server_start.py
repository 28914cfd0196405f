"""How long graftline's own Prefect server takes to start: in the first state directory, in the next new one, and again.

Each round starts the three one after the other, with a cache folder of its own, so that they share whatever else the
machine does. Stopping is not in the times.

Run: `python -m benchmarks.server_start`.
"""

import argparse
import asyncio
import os
import statistics
import tempfile
import time
from pathlib import Path

from graftline.server import local_server

KINDS = ("first state directory", "next new state directory", "same state directory again")


async def start_seconds(state_dir: Path) -> float:
    """The time from asking for the local server until it answers."""
    begun = time.perf_counter()
    async with local_server(state_dir, say=lambda _line: None):
        return time.perf_counter() - begun


def measure_round(place: Path) -> tuple[float, ...]:
    """One start of each kind, in their order."""
    os.environ["XDG_CACHE_HOME"] = str(place / "cache")
    return tuple(asyncio.run(start_seconds(place / name)) for name in ("one", "other", "other"))


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5, metavar="N", help="starts of each kind (default: 5)")
    count: int = parser.parse_args().rounds
    with tempfile.TemporaryDirectory(prefix="server-start-") as name:
        rounds = [measure_round(Path(name, str(number))) for number in range(count)]
    print(f"{count} starts of each\n")
    print("| start | fastest | median |")
    print("|---|---:|---:|")
    for kind, seconds in zip(KINDS, zip(*rounds, strict=True), strict=True):
        print(f"| {kind} | {min(seconds):.1f} s | {statistics.median(seconds):.1f} s |")


if __name__ == "__main__":
    main()
