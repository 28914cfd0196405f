"""The ledger never promises the same money twice, and never calls an unknown cost zero."""

import math
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from graftline.agents.outcome import OutcomeKind, Usage
from graftline.caps import Cap, Reservation, Room, Scope, Shortage
from graftline.errors import CannotRunError, GraftlineError, UserError
from graftline.ledger import Account, Call, CostSource, Ledger, NextCall, Role, local_midnight
from graftline.ledger_schema import SCHEMA_VERSION

RUN = "11111111-1111-4111-8111-111111111111"


@pytest.fixture
def ledger(tmp_path: Path) -> Ledger:
    return Ledger.open(tmp_path / "state")


def next_call(run_id: str = RUN, task: str = "api", deployment: str = "") -> NextCall:
    return NextCall(run_id=run_id, role=Role.TASK, backend="claude-code", task=task, attempt=1, deployment=deployment)


def reserve(ledger: Ledger, amount_usd: float, *, cap_usd: float = 5.0, run_id: str = RUN) -> int:
    call = try_reserve(ledger, amount_usd, cap_usd=cap_usd, run_id=run_id)
    assert call is not None
    return call


def try_reserve(ledger: Ledger, amount_usd: float, *, cap_usd: float = 5.0, run_id: str = RUN) -> int | None:
    held = ledger.reserve(next_call(run_id), [Cap(Scope.RUN, cap_usd)], lambda _: amount_usd)
    return held.call if isinstance(held, Reservation) else None


def counted_usd(account: Account) -> float:
    return account.known_usd + account.unknown_usd


def end(ledger: Ledger, call: int, cost_usd: float | None) -> None:
    ledger.complete(call, Usage(cost_usd=cost_usd), outcome=OutcomeKind.OK)


def test_row_holds_all_of_a_call_from_reservation_to_end(ledger: Ledger) -> None:
    before = datetime.now(UTC)
    begun = NextCall(
        run_id=RUN,
        role=Role.HEAL,
        backend="claude-code",
        task="api",
        attempt=2,
        profile="careful",
        tier="strong",
        deployment="nightly",
    )
    held = ledger.reserve(begun, [Cap(Scope.RUN, 5)], lambda _: 1.25)
    assert isinstance(held, Reservation)
    call = held.call
    (row,) = ledger.account(RUN).calls
    opened = Call(
        id=call,
        run_id=RUN,
        role=Role.HEAL,
        task="api",
        attempt=2,
        backend="claude-code",
        profile="careful",
        tier="strong",
        deployment="nightly",
        version="",
        model="",
        usage=Usage(),
        cost_source=None,
        reserved_usd=1.25,
        seconds=None,
        outcome=None,
        started_at=row.started_at,
        ended_at=None,
    )
    assert row == opened
    assert row.is_open

    usage = Usage(cost_usd=0.42, input_tokens=10, output_tokens=20, cached_tokens=0)
    ledger.complete(
        call,
        usage,
        outcome=OutcomeKind.MAX_TURNS,
        version="2.1",
        model="m",
        seconds=3.5,
        cost_source=CostSource.PRICED,
    )
    (row,) = ledger.account(RUN).calls
    assert (row.usage, row.cost_source, row.outcome, row.version, row.model, row.seconds) == (
        usage,
        CostSource.PRICED,
        OutcomeKind.MAX_TURNS,
        "2.1",
        "m",
        3.5,
    )
    assert row.ended_at is not None
    assert before <= row.started_at <= row.ended_at <= datetime.now(UTC)


def test_ledger_is_private_and_survives_being_opened_again(ledger: Ledger) -> None:
    end(ledger, reserve(ledger, 1), 0.5)
    again = Ledger.open(ledger.path.parent)
    assert again.account(RUN).cost_usd == 0.5
    with again._connection() as connection:
        connection.execute("BEGIN IMMEDIATE")
        files = {path.name: stat.S_IMODE(path.stat().st_mode) for path in ledger.path.parent.glob("ledger.*")}
    assert set(files) == {"ledger.db", "ledger.db-wal", "ledger.db-shm", "ledger.lock"}
    assert set(files.values()) == {0o600}


def test_empty_account_costs_a_known_nothing(ledger: Ledger) -> None:
    account = ledger.account(RUN)
    assert (account, account.cost_usd, account.spent_usd) == (Account(), 0.0, 0.0)


def test_unknown_cost_is_unknown_and_counts_at_its_reservation(ledger: Ledger) -> None:
    end(ledger, reserve(ledger, 2), None)
    end(ledger, reserve(ledger, 2), 0.5)
    reserve(ledger, 1)
    account = ledger.account(RUN)
    assert account.known_usd == 0.5
    assert account.unknown_calls == 2
    assert account.cost_usd is None
    assert account.unknown_usd == 3
    assert account.spent_usd == 2.5, "what runs is not spent yet"
    assert try_reserve(ledger, 1.51) is None
    assert try_reserve(ledger, 1.5) is not None


def test_ended_call_gives_back_what_it_did_not_use(ledger: Ledger) -> None:
    call = reserve(ledger, 5)
    assert try_reserve(ledger, 0.01) is None
    end(ledger, call, 1)
    assert try_reserve(ledger, 4) is not None


def test_overspent_run_gets_nothing_more_but_what_is_free(ledger: Ledger) -> None:
    end(ledger, reserve(ledger, 5), 5.6)
    assert try_reserve(ledger, 0.01) is None
    assert try_reserve(ledger, 0) is not None


def test_cap_of_zero_lets_only_free_calls_through(ledger: Ledger) -> None:
    assert try_reserve(ledger, 0.01, cap_usd=0) is None
    assert try_reserve(ledger, 0, cap_usd=0) is not None


def test_runs_have_separate_accounts(ledger: Ledger) -> None:
    reserve(ledger, 5, run_id="one")
    reserve(ledger, 5, run_id="two")
    assert [ledger.account(run).unknown_usd for run in ("one", "two", "three")] == [5, 5, 0]


@pytest.mark.parametrize("amount_usd", [-1.0, math.nan, math.inf])
def test_amount_that_cannot_be_is_a_defect(ledger: Ledger, amount_usd: float) -> None:
    with pytest.raises(ValueError, match="cannot reserve"):
        try_reserve(ledger, amount_usd)
    assert ledger.account(RUN) == Account()


@pytest.mark.parametrize("cost_usd", [-3.0, math.nan, math.inf, 1e300])
def test_figures_that_cannot_be_are_entered_as_unknown(ledger: Ledger, cost_usd: float) -> None:
    call = reserve(ledger, 1)
    usage = Usage(cost_usd=cost_usd, input_tokens=-1, output_tokens=2**70, cached_tokens=3)
    ledger.complete(call, usage, outcome=OutcomeKind.FAILED, model="half \ud800 pair")
    (row,) = ledger.account(RUN).calls
    assert row.usage == Usage(cached_tokens=3)
    assert row.cost_source is None
    assert row.model == "half ? pair"
    assert row.estimated_usd == 1


def test_first_completion_of_a_call_stays(ledger: Ledger) -> None:
    call = reserve(ledger, 1)
    end(ledger, call, 0.3)
    first = ledger.account(RUN)
    ledger.complete(call, Usage(), outcome=OutcomeKind.INTERRUPTED)
    assert ledger.account(RUN) == first


def test_completing_an_unknown_call_is_a_defect(ledger: Ledger) -> None:
    with pytest.raises(GraftlineError, match="no call 77"):
        end(ledger, 77, 1)


def test_thirty_awkward_amounts_sum_to_the_cent(ledger: Ledger) -> None:
    for _ in range(30):
        end(ledger, reserve(ledger, 0.1), 0.1)
    assert ledger.account(RUN).cost_usd == 3.0


def test_amounts_that_fill_the_cap_exactly_fit(ledger: Ledger) -> None:
    calls = [try_reserve(ledger, 0.1, cap_usd=0.3) for _ in range(4)]
    assert [call is not None for call in calls] == [True, True, True, False]


def test_newer_schema_is_refused_and_left_alone(ledger: Ledger) -> None:
    with sqlite3.connect(ledger.path) as connection:
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    connection.close()
    newer = rf"newer graftline \(schema {SCHEMA_VERSION + 1}, this one knows {SCHEMA_VERSION}\): update graftline"
    with pytest.raises(UserError, match=newer):
        Ledger.open(ledger.path.parent)


# As the first version of graftline left it.
FIRST_VERSION = """
PRAGMA journal_mode = WAL;
CREATE TABLE calls (
    id INTEGER PRIMARY KEY, run_id TEXT NOT NULL, role TEXT NOT NULL, task TEXT, attempt INTEGER,
    backend TEXT NOT NULL, version TEXT NOT NULL DEFAULT '', model TEXT NOT NULL DEFAULT '', input_tokens INTEGER,
    output_tokens INTEGER, cached_tokens INTEGER, cost_usd REAL, reserved_usd REAL NOT NULL, seconds REAL,
    outcome TEXT, started_at TEXT NOT NULL, ended_at TEXT
);
CREATE INDEX calls_of_run ON calls (run_id);
INSERT INTO calls (run_id, role, task, attempt, backend, cost_usd, reserved_usd, outcome, started_at, ended_at) VALUES
    ('r', 'task', 'api', 1, 'claude-code', 0.42, 1.25, 'ok', '2026-01-01T00:00:00+00:00', '2026-01-01T00:01:00+00:00'),
    ('r', 'heal', 'api', 1, 'claude-code', NULL, 0.5, 'ok', '2026-01-01T00:02:00+00:00', '2026-01-01T00:03:00+00:00');
PRAGMA user_version = 1;
"""


def test_ledger_of_the_first_version_keeps_its_rows_and_goes_on(tmp_path: Path) -> None:
    with sqlite3.connect(tmp_path / "ledger.db") as connection:
        connection.executescript(FIRST_VERSION)
    connection.close()
    ledger = Ledger.open(tmp_path)
    reserve(ledger, 1, run_id="r")
    account = ledger.account("r")
    first, second, third = account.calls
    assert (first.task, first.usage.cost_usd, first.cost_source) == ("api", 0.42, CostSource.REPORTED)
    assert (first.profile, first.tier, first.deployment) == ("", "", "")
    assert (second.role, second.cost_source, second.estimated_usd) == (Role.HEAL, None, 0.5)
    assert (third.is_open, counted_usd(account)) == (True, 1.92)
    assert Ledger.open(tmp_path).account("r") == account, "it is brought up to date once"


def test_damaged_ledger_is_named(ledger: Ledger) -> None:
    ledger.path.write_bytes(b"not a database, " * 100)
    with pytest.raises(CannotRunError, match=f"cannot use the ledger {ledger.path}: file is not a database"):
        Ledger.open(ledger.path.parent)


def test_full_disk_is_named_and_leaves_the_books_as_they_were(
    ledger: Ledger, disk_full_at: Callable[[int], AbstractContextManager[None]]
) -> None:
    end(ledger, reserve(ledger, 1), 0.5)
    before = ledger.account(RUN)
    with disk_full_at(1), pytest.raises(CannotRunError, match=f"cannot use the ledger {ledger.path}: .*(disk|full)"):
        try_reserve(ledger, 1)
    assert ledger.account(RUN) == before
    assert try_reserve(ledger, 1) is not None


def test_process_killed_while_it_reserves_leaves_no_row_and_no_lock(ledger: Ledger) -> None:
    script = (
        "import os, signal, sys; from pathlib import Path; from graftline.ledger import Ledger, _transaction\n"
        "with Ledger(Path(sys.argv[1]))._connection() as connection, _transaction(connection):\n"
        '    connection.execute("INSERT INTO calls (run_id, role, backend, reserved_usd, started_at) '
        "VALUES ('r', 'task', 'b', 5, '2026-01-01T00:00:00+00:00')\")\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    done = subprocess.run([sys.executable, "-c", script, str(ledger.path)], check=False)
    assert done.returncode == -signal.SIGKILL
    assert ledger.account("r") == Account()
    assert reserve(ledger, 5, run_id="r")


@settings(deadline=None, max_examples=15)
@given(
    calls=st.lists(
        st.tuples(st.floats(0.01, 2), st.none() | st.just("open") | st.floats(0, 1)), min_size=1, max_size=12
    ),
    cap_usd=st.floats(0, 5),
)
def test_concurrent_threads_never_commit_more_than_the_cap(
    calls: list[tuple[float, float | str | None]], cap_usd: float
) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger.open(Path(folder))

        def one_call(amount_usd: float, ending: float | str | None) -> float:
            call = try_reserve(ledger, amount_usd, cap_usd=cap_usd)
            committed_usd = counted_usd(ledger.account(RUN))
            if call is not None and not isinstance(ending, str):
                end(ledger, call, None if ending is None else ending * amount_usd)
            return committed_usd

        with ThreadPoolExecutor(4) as threads:
            seen = list(threads.map(one_call, *zip(*calls, strict=True)))
        assert max([*seen, counted_usd(ledger.account(RUN))]) <= cap_usd + 1e-9


def test_processes_that_race_for_a_new_ledger_share_one_cap(tmp_path: Path) -> None:
    script = (
        "import sys; from pathlib import Path; from graftline.caps import Cap, Reservation, Scope\n"
        "from graftline.ledger import Ledger, NextCall, Role\n"
        "sys.stdin.readline()\n"  # all start together
        "ledger = Ledger.open(Path(sys.argv[1]))\n"
        "call = NextCall(run_id=sys.argv[2], role=Role.TASK, backend='b')\n"
        "got = [ledger.reserve(call, [Cap(Scope.DAY, 5)], lambda rooms: 0.25) for _ in range(20)]\n"
        "print(sum(isinstance(held, Reservation) for held in got))\n"
    )
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path), run], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        for run in ("one", "two", "three")
    ]
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    granted = [int(process.communicate()[0]) for process in processes]
    assert sum(granted) == 20
    ledger = Ledger.open(tmp_path)
    assert sum(ledger.account(run).unknown_usd for run in ("one", "two", "three")) == 5.0


def test_each_cap_counts_its_own_calls_and_the_fullest_decides(ledger: Ledger) -> None:
    def book(run_id: str, task: str, deployment: str = "") -> None:
        held = ledger.reserve(next_call(run_id, task, deployment), [Cap(Scope.RUN, 99)], lambda _: 1.0)
        assert isinstance(held, Reservation)

    book(RUN, "api")
    book(RUN, "docs")
    book("other", "api", deployment="nightly")
    book("yesterday's", "api", deployment="nightly")
    with ledger._connection() as connection:
        before = (local_midnight(datetime.now(UTC)) - timedelta(seconds=1)).isoformat()
        connection.execute("UPDATE calls SET started_at = ? WHERE run_id = ?", (before, "yesterday's"))

    caps = [Cap(Scope.TASK, 10), Cap(Scope.RUN, 10), Cap(Scope.DAY, 10), Cap(Scope.DEPLOYMENT, 10)]
    seen: list[tuple[Room, ...]] = []

    def ask(rooms: tuple[Room, ...]) -> float:
        seen.append(rooms)
        return 7.5

    held = ledger.reserve(next_call(deployment="nightly"), caps, ask)
    assert [(room.counted_usd, room.held_usd) for room in seen[0]] == [(1, 1), (2, 2), (3, 2), (2, 0)]
    assert held == Shortage(seen[0][2], 7.5)
    assert ledger.account(RUN).unknown_usd == 2, "what does not fit leaves no row"


@pytest.mark.parametrize(
    ("now", "midnight"),
    [
        ("2026-03-29T12:00:00+02:00", "2026-03-28T23:00:00+00:00"),  # the clocks went forward at night
        ("2026-10-25T12:00:00+01:00", "2026-10-24T22:00:00+00:00"),  # and back
        ("2026-06-01T00:00:00+02:00", "2026-05-31T22:00:00+00:00"),
        ("2026-05-31T23:59:59+02:00", "2026-05-30T22:00:00+00:00"),
    ],
)
def test_a_day_begins_at_local_midnight(monkeypatch: pytest.MonkeyPatch, now: str, midnight: str) -> None:
    with monkeypatch.context() as patched:
        patched.setenv("TZ", "CET-1CEST,M3.5.0,M10.5.0/3")
        time.tzset()
        found = local_midnight(datetime.fromisoformat(now))
    time.tzset()
    assert found.isoformat() == midnight
