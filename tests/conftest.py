"""Fixtures every test shares: nothing of the person's own home, git configuration, Prefect or state is touched."""

import os
import resource
import shutil
import signal
import socket
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest

from tests.leftovers import end_leftovers, processes_in

pytest_plugins = ["tests.installation", "tests.local_server", "tests.pipeline", "tests.session_server"]

MakeRepository = Callable[..., Path]
SESSION_SERVERS = ("installation", "served_state_dir", "prefect_server", "installed_clis")
"""Session fixtures that start Prefect servers, or are used with one; the first that a test needs decides."""


def pytest_configure(config: pytest.Config) -> None:
    """Give Prefect a home of this session's own: it reads its settings when a test module imports it."""
    home = tempfile.mkdtemp(prefix="prefect-home-")
    config.add_cleanup(lambda: shutil.rmtree(home, ignore_errors=True))
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        del os.environ[name]
    os.environ.update(PREFECT_HOME=home, PREFECT_SERVER_ANALYTICS_ENABLED="false", DO_NOT_TRACK="1")
    # One cache for all tests and workers, so that only the first local Prefect server has to build a database.
    if "PYTEST_XDIST_WORKER" not in os.environ:
        os.environ["XDG_CACHE_HOME"] = str(Path(home, "cache"))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep tests that share expensive servers on one worker of pytest-xdist; without it, the mark says nothing."""
    for item in items:
        fixtures = getattr(item, "fixturenames", ())
        server = next((name for name in SESSION_SERVERS if name in fixtures), None)
        if server is not None:
            item.add_marker(pytest.mark.xdist_group(server))


def run_git(folder: Path, *arguments: str) -> str:
    """Run the user's side of git in a test repository; graftline's own calls go through `graftline.git`."""
    done = subprocess.run(["git", *arguments], cwd=folder, check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture(autouse=True)
def isolated_environment(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A home, a state directory and a git identity of the test's own, and no inherited variables."""
    home = tmp_path_factory.mktemp("home")
    for name in list(os.environ):
        if name.startswith(("GIT_", "GRAFTLINE_", "ANTHROPIC_", "CLAUDE", "CODEX_", "OPENAI_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("XDG_STATE_HOME", str(home / "state"))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(home / "config"))
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    (home / ".gitconfig").write_text(
        "[user]\n\tname = Test User\n\temail = test@example.com\n[init]\n\tdefaultBranch = main\n"
        "[commit]\n\tgpgsign = false\n"
    )
    return home


@pytest.fixture(autouse=True)
def loopback_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fail a test whose process reaches for the network; loopback is allowed."""
    connect = socket.socket.connect

    def connect_to_loopback(self: socket.socket, address: tuple[str, int]) -> None:
        if self.family in (socket.AF_INET, socket.AF_INET6) and not address[0].startswith(("127.", "::1", "localhost")):
            pytest.fail(f"the test reached for the network: {address}")
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", connect_to_loopback)


@pytest.fixture(autouse=True)
def nothing_left_running(isolated_environment: Path, tmp_path: Path) -> Iterator[None]:
    """Fail a test that leaves a process running, and end the process; servers of wider fixtures are older and stay."""
    folders = (isolated_environment, tmp_path)
    before = processes_in(folders)
    yield
    left = end_leftovers(processes_in(folders) - before)
    assert not left, "the test left processes running:\n" + "\n".join(left)


@pytest.fixture
def make_repository(tmp_path: Path) -> MakeRepository:
    """Make a real repository with one commit: `make_repository({"a.py": "x = 1\\n"}, name="repo")`."""

    def make(files: Mapping[str, str] | None = None, *, name: str = "repository") -> Path:
        folder = tmp_path / name
        folder.mkdir(parents=True)
        run_git(folder, "init", "-q", "-b", "main")
        for path, content in (files or {"README.md": "hello\n"}).items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(content)
        run_git(folder, "add", "-A")
        run_git(folder, "commit", "-qm", "first")
        return folder

    return make


@pytest.fixture
def disk_full_at() -> Callable[[int], AbstractContextManager[None]]:
    """`with disk_full_at(SIZE)`: no file grows beyond SIZE bytes; a write across it is cut, as on a full disk."""

    @contextmanager
    def limit(size: int) -> Iterator[None]:
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)
            signal.signal(signal.SIGXFSZ, handler)

    return limit
