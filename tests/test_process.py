"""Real children: what they print, how they end, and that nothing of them stays behind."""

import asyncio
import contextlib
import hashlib
import os
import shlex
import shutil
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from pathlib import Path

import anyio
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from graftline.child_output import CHUNK_BYTES, LINE_BYTES, TAIL_BYTES
from graftline.errors import CannotRunError, ExitCode
from graftline.process import (
    Command,
    Ending,
    Limits,
    ProcessIdentity,
    ProcessResult,
    end_group,
    is_alive,
    run_process,
)

# Far beyond what any of these children needs: a test that meets it has failed.
STRANGERS: set[str] = set()
PATIENT = Limits(wall_seconds=30, grace_seconds=0.2)


def shell(script: str, cwd: Path, stdin: bytes = b"") -> Command:
    return Command(argv=("sh", "-c", script), cwd=cwd, env={"PATH": os.environ["PATH"]}, stdin=stdin)


def python(program: str, cwd: Path, stdin: bytes = b"") -> Command:
    return Command(argv=(sys.executable, "-c", program), cwd=cwd, env={}, stdin=stdin)


def group_is_gone(pid: int) -> bool:
    """Whether no process of the group runs; zombies that PID 1 has not reaped yet do not run."""
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                fields = (folder / "stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[2]) == pid and fields[0] not in "ZX":
                return False
    return True


async def run(command: Command, log: Path, limits: Limits = PATIENT) -> tuple[ProcessResult, list[str]]:
    lines: list[str] = []
    return await run_process(command, log=log, limits=limits, on_line=lines.append), lines


async def test_output_reaches_log_lines_and_tail(tmp_path: Path) -> None:
    log = tmp_path / "new folder" / "agent.log"
    result, lines = await run(shell("echo one; echo two >&2; printf three; exit 7", tmp_path), log)
    assert lines == ["one", "three"]
    assert log.read_bytes() == b"one\nthree"
    assert log.with_name("agent.log.stderr").read_bytes() == b"two\n"
    assert (result.status, result.ending, result.tail) == (7, Ending.EXITED, "one\nthreetwo\n")
    assert result.stderr_tail == "two\n"
    assert result.seconds > 0


async def test_logs_are_private_and_replace_those_of_an_earlier_call(tmp_path: Path) -> None:
    log = tmp_path / "agent.log"
    log.write_text("something old and long")
    log.chmod(0o644)
    await run(shell("echo new", tmp_path), log)
    assert log.read_text() == "new\n"
    assert [path.stat().st_mode & 0o777 for path in (log, tmp_path / "agent.log.stderr")] == [0o600, 0o600]


async def test_log_is_never_written_through_a_link(tmp_path: Path) -> None:
    precious = tmp_path / "precious"
    precious.write_text("precious")
    (tmp_path / "agent.log").symlink_to(precious)
    with pytest.raises(OSError, match="symbolic link"):
        await run(shell("echo overwritten", tmp_path), tmp_path / "agent.log")
    assert precious.read_text() == "precious"


async def test_prompt_of_a_megabyte_arrives_whole_and_stdin_ends(tmp_path: Path) -> None:
    prompt = os.urandom(512 * 1024).hex().encode()
    program = "import sys, hashlib; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest())"
    _, lines = await run(python(program, tmp_path, prompt), tmp_path / "log")
    assert lines == [hashlib.sha256(prompt).hexdigest()]


async def test_child_that_never_reads_a_large_prompt_is_not_waited_for(tmp_path: Path) -> None:
    result, lines = await run(shell("echo done", tmp_path, b"x" * 1_000_000), tmp_path / "log")
    assert (result.status, lines) == (0, ["done"])


async def test_stdin_without_a_prompt_is_at_its_end(tmp_path: Path) -> None:
    _, lines = await run(shell("wc -c", tmp_path), tmp_path / "log")
    assert [line.strip() for line in lines] == ["0"]


async def test_environment_is_exactly_what_was_given(tmp_path: Path) -> None:
    command = Command(argv=(shutil.which("env") or "env",), cwd=tmp_path, env={"ONLY": "this"})
    _, lines = await run(command, tmp_path / "log")
    assert lines == ["ONLY=this"]


async def test_line_of_two_megabytes_without_an_end_arrives_whole(tmp_path: Path) -> None:
    size = 2_000_000
    result, lines = await run(python(f"print('x' * {size}, end='')", tmp_path), tmp_path / "log")
    assert [len(line) for line in lines] == [size]
    assert len(result.tail) == TAIL_BYTES


async def test_endless_line_is_cut_for_the_reader_and_whole_in_the_log(tmp_path: Path) -> None:
    size = LINE_BYTES + CHUNK_BYTES
    _, lines = await run(python(f"print('x' * {size}); print('next')", tmp_path), tmp_path / "log")
    assert [len(line) for line in lines] == [LINE_BYTES, len("next")]
    assert (tmp_path / "log").stat().st_size == size + len("\nnext\n")


async def test_bytes_that_are_no_text_are_replaced_and_kept_in_the_log(tmp_path: Path) -> None:
    _, lines = await run(python(r"import os; os.write(1, b'a\xff\xfeb\r\nc\n')", tmp_path), tmp_path / "log")
    assert lines == ["a��b", "c"]
    assert (tmp_path / "log").read_bytes() == b"a\xff\xfeb\r\nc\n"


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=300), pieces=st.integers(min_value=1, max_value=7))
def test_lines_are_those_of_the_output_however_it_is_cut_up(tmp_path: Path, content: bytes, pieces: int) -> None:
    program = (
        f"import os\ncontent = {content!r}\n"
        f"for at in range(0, len(content), {pieces}):\n    os.write(1, content[at:at + {pieces}])\n"
    )
    _, lines = asyncio.run(run(python(program, tmp_path), tmp_path / "log"))
    expected = content.split(b"\n")
    if not expected[-1]:
        expected.pop()
    assert lines == [line.decode(errors="replace").removesuffix("\r") for line in expected]


async def test_wall_clock_ends_a_child_that_keeps_talking(tmp_path: Path) -> None:
    limits = Limits(wall_seconds=0.3, stall_seconds=20, grace_seconds=0.2)
    result, lines = await run(shell("while :; do echo tick; sleep 0.05; done", tmp_path), tmp_path / "log", limits)
    assert (result.ending, result.status) == (Ending.TIMED_OUT, -signal.SIGTERM)
    assert "tick" in lines


async def test_child_that_ignores_term_is_killed_after_the_grace(tmp_path: Path) -> None:
    limits = Limits(wall_seconds=0.4, grace_seconds=0.2)
    result, _ = await run(shell("trap '' TERM; while :; do sleep 0.1; done", tmp_path), tmp_path / "log", limits)
    assert (result.ending, result.status) == (Ending.TIMED_OUT, -signal.SIGKILL)


async def test_child_may_clean_up_within_the_grace_and_its_last_words_are_kept(tmp_path: Path) -> None:
    # Silence counts from the last output, so the trap is set by the time the limit is reached.
    limits = Limits(wall_seconds=60, stall_seconds=1, grace_seconds=20)
    script = "trap 'echo cleaned; exit 3' TERM; echo ready; sleep 60 & wait"
    result, lines = await run(shell(script, tmp_path), tmp_path / "log", limits)
    assert (result.ending, result.status, lines) == (Ending.STALLED, 3, ["ready", "cleaned"])


async def test_grandchild_that_holds_the_output_does_not_block_and_is_ended(tmp_path: Path) -> None:
    started: list[ProcessIdentity] = []
    result = await run_process(
        shell("sleep 600 & echo done", tmp_path), log=tmp_path / "log", limits=PATIENT, on_start=started.append
    )
    assert (result.status, result.ending, result.tail) == (0, Ending.EXITED, "done\n")
    assert group_is_gone(started[0].pid)


async def test_grandchild_that_floods_the_output_does_not_block(tmp_path: Path) -> None:
    started: list[ProcessIdentity] = []
    result = await run_process(
        shell("yes & echo $! > pid", tmp_path), log=tmp_path / "log", limits=PATIENT, on_start=started.append
    )
    assert (result.status, result.ending) == (0, Ending.EXITED)
    assert len(result.tail) <= TAIL_BYTES
    assert group_is_gone(started[0].pid)


async def test_grandchild_in_a_session_of_its_own_does_not_block(tmp_path: Path) -> None:
    result, lines = await run(shell("setsid sleep 600 & echo $! > pid; echo done", tmp_path), tmp_path / "log")
    # Beyond the reach of the group, and of no family: nothing ends it. It must not hold us up all the same.
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)
    assert (result.status, lines) == (0, ["done"])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="without /proc nobody tells whose a process is")
@pytest.mark.parametrize("ignore", ["", "trap '' TERM; "])
@pytest.mark.parametrize("ending", [Ending.EXITED, Ending.TIMED_OUT])
async def test_family_that_left_the_group_is_ended_and_no_other(tmp_path: Path, ignore: str, ending: Ending) -> None:
    waiting = f"{ignore}echo >> ready; while :; do sleep 0.02; done"
    both = (
        f"setsid sh -c {shlex.quote(waiting)} & FAMILY={tmp_path}/other setsid sh -c {shlex.quote(waiting)} & echo $!"
    )
    script = f"{both}; until [ $(wc -l < ready) = 2 ]; do sleep 0.02; done 2> /dev/null"
    if ending is Ending.TIMED_OUT:
        script += "; sleep 600"
    env = {"PATH": os.environ["PATH"], "FAMILY": f"{tmp_path}/one"}
    command = replace(shell(script, tmp_path), env=env, family="FAMILY")
    (tmp_path / "ready").touch()
    limits = replace(PATIENT, wall_seconds=2) if ending is Ending.TIMED_OUT else PATIENT
    result, [other] = await run(command, tmp_path / "log", limits)
    try:
        assert result.ending is ending
        assert marked(os.fsencode(f"FAMILY={tmp_path}/one")) == []
        assert int(other) in marked(os.fsencode(f"FAMILY={tmp_path}/other")), "it is somebody else's"
    finally:
        os.killpg(int(other), signal.SIGKILL)


def marked(entry: bytes) -> list[int]:
    """The processes that were started with an entry in their environment."""
    found = []
    for folder in Path("/proc").iterdir():
        with contextlib.suppress(OSError):
            if folder.name.isdigit() and entry in (folder / "environ").read_bytes().split(b"\0"):
                found.append(int(folder.name))
    return found


async def test_child_that_closes_its_output_is_still_waited_for(tmp_path: Path) -> None:
    result, _ = await run(shell("exec >&- 2>&-; sleep 0.3; exit 5", tmp_path), tmp_path / "log")
    assert (result.status, result.ending) == (5, Ending.EXITED)


async def test_signal_death_shows_in_the_status(tmp_path: Path) -> None:
    result, _ = await run(shell("kill -9 $$", tmp_path), tmp_path / "log")
    assert (result.status, result.ending) == (-signal.SIGKILL, Ending.EXITED)


@pytest.mark.parametrize("how", ["asyncio", "anyio"])
async def test_cancellation_ends_the_group_and_goes_on(tmp_path: Path, how: str) -> None:
    started: list[ProcessIdentity] = []
    talking = asyncio.Event()
    command = shell("(trap '' TERM; sleep 600) & trap '' TERM; echo ready; while :; do sleep 0.1; done", tmp_path)

    async def work() -> None:
        await run_process(
            command, log=tmp_path / "log", limits=PATIENT, on_line=lambda _: talking.set(), on_start=started.append
        )
        raise AssertionError("the cancellation was swallowed")

    if how == "anyio":
        async with anyio.create_task_group() as group:
            group.start_soon(work)
            await talking.wait()
            group.cancel_scope.cancel()
    else:
        task = asyncio.create_task(work())
        await talking.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert group_is_gone(started[0].pid)
    assert not children()


@pytest.mark.parametrize("how", ["asyncio", "anyio"])
async def test_cancelled_child_has_its_grace(tmp_path: Path, how: str) -> None:
    ready = asyncio.Event()
    command = shell("trap 'sleep 0.3; touch cleaned; exit' TERM; echo ready; while :; do sleep 0.05; done", tmp_path)
    limits = Limits(grace_seconds=30)
    call = run_process(command, log=tmp_path / "log", limits=limits, on_line=lambda _: ready.set())
    task = asyncio.create_task(call) if how == "asyncio" else asyncio.create_task(cancelled_by_scope(call, ready))
    await ready.wait()
    if how == "asyncio":
        task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    assert (tmp_path / "cleaned").exists()


async def cancelled_by_scope(call: Coroutine[None, None, ProcessResult], moment: asyncio.Event) -> None:
    """Await the call in a scope that is cancelled at the moment, as Prefect's time-outs do it."""
    async with anyio.create_task_group() as group:

        async def cancel() -> None:
            await moment.wait()
            group.cancel_scope.cancel()

        group.start_soon(cancel)
        await call


async def test_cancellation_while_a_leftover_group_is_ended_goes_on(tmp_path: Path) -> None:
    asked = asyncio.Event()
    leftover = "(trap 'echo asked' TERM; touch up; while :; do sleep 0.05; done) &"
    command = shell(f"{leftover} until [ -e up ]; do sleep 0.02; done", tmp_path)
    limits = Limits(grace_seconds=1)
    task = asyncio.create_task(run_process(command, log=tmp_path / "log", limits=limits, on_line=lambda _: asked.set()))
    await asked.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_child_that_is_cancelled_twice_has_its_grace(tmp_path: Path) -> None:
    heard = {"ready": asyncio.Event(), "asked to end": asyncio.Event()}
    line = "trap 'echo asked to end; sleep 0.3; touch cleaned; exit' TERM; echo ready; while :; do sleep 0.05; done"
    call = run_process(
        shell(line, tmp_path),
        log=tmp_path / "log",
        limits=Limits(grace_seconds=30),
        on_line=lambda line: heard[line].set(),
    )
    task = asyncio.create_task(call)
    await heard["ready"].wait()
    task.cancel()
    await heard["asked to end"].wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (tmp_path / "cleaned").exists()
    assert not children()


def children() -> set[str]:
    """The pids of our own children, zombies included, that this module's tests have started."""
    listed = Path(f"/proc/{os.getpid()}/task/{os.getpid()}/children")
    return set(listed.read_text().split()) - STRANGERS if listed.exists() else set()


@pytest.fixture(autouse=True)
def strangers() -> Iterator[None]:
    """The children there are already, such as a Prefect server of other tests, are none of ours."""
    STRANGERS.update(children())
    yield
    STRANGERS.clear()


@pytest.mark.parametrize("cancellations", [1, 3])
async def test_cancellation_while_the_child_starts_leaves_no_child(tmp_path: Path, cancellations: int) -> None:
    task = asyncio.create_task(
        run_process(shell("echo $$ > pid; sleep 600", tmp_path), log=tmp_path / "log", limits=PATIENT)
    )
    while not children():  # noqa: ASYNC110  there is no event for it, and it is a matter of one turn of the loop
        await asyncio.sleep(0)
    for _ in range(cancellations):
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not children()
    assert not working_in(tmp_path)


def working_in(folder: Path) -> list[str]:
    """The pids of all processes, of whatever parent and group, whose current folder it is."""
    found = []
    for process in Path("/proc").iterdir():
        with contextlib.suppress(OSError):  # gone meanwhile, or no process
            if (process / "cwd").readlink() == folder:
                found.append(process.name)
    return found


async def test_failing_reader_ends_the_group_and_is_heard(tmp_path: Path) -> None:
    started: list[ProcessIdentity] = []

    def refuse(line: str) -> None:
        raise ValueError(line)

    with pytest.raises(ValueError, match="first"):
        await run_process(
            shell("echo first; sleep 600", tmp_path),
            log=tmp_path / "log",
            limits=PATIENT,
            on_line=refuse,
            on_start=started.append,
        )
    assert group_is_gone(started[0].pid)


async def test_child_can_be_interrupted_although_we_ignore_ctrl_c(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        result, _ = await run(shell("kill -INT $$; echo survived", tmp_path), tmp_path / "log")
    finally:
        signal.signal(signal.SIGINT, before)
    assert (result.status, result.tail) == (-signal.SIGINT, "")


async def test_child_has_a_session_and_a_group_of_its_own(tmp_path: Path) -> None:
    program = "import os; print(os.getsid(0) == os.getpgid(0) == os.getpid())"
    _, lines = await run(python(program, tmp_path), tmp_path / "log")
    assert lines == ["True"]


def make_plain_file(folder: Path) -> str:
    (folder / "notes").write_text("not a program\n")
    return str(folder / "notes")


def make_orphan_script(folder: Path) -> str:
    (folder / "script").write_text("#!/no/such/interpreter\n")
    (folder / "script").chmod(0o755)
    return str(folder / "script")


def make_empty_program(folder: Path) -> str:
    (folder / "empty").write_bytes(b"\0\0\0\0")
    (folder / "empty").chmod(0o755)
    return str(folder / "empty")


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda _: "graftline-no-such-program", "was not found"),
        (make_orphan_script, "interpreter"),
        (make_plain_file, "not an executable file"),
        (make_empty_program, "Exec format error"),
        (lambda _: "null\0byte", "null byte"),
    ],
)
async def test_program_that_cannot_start_is_named(tmp_path: Path, make: Callable[[Path], str], reason: str) -> None:
    program = make(tmp_path)
    command = Command(argv=(program,), cwd=tmp_path, env={"PATH": os.environ["PATH"]}, stdin=b"prompt")
    with pytest.raises(CannotRunError, match=reason) as caught:
        await run(command, tmp_path / "log")
    assert repr(program) in str(caught.value)
    assert caught.value.exit_code is ExitCode.CANNOT_RUN


async def test_missing_folder_is_named_and_not_taken_for_a_missing_program(tmp_path: Path) -> None:
    with pytest.raises(CannotRunError, match=r"gone: there is no such folder"):
        await run(shell("true", tmp_path / "gone"), tmp_path / "log")


async def test_group_left_behind_is_ended_by_its_identity(tmp_path: Path) -> None:
    left: list[ProcessIdentity] = []
    alive: list[bool] = []

    async def another_graftline(identity: ProcessIdentity) -> None:
        left.append(identity)
        alive.append(is_alive(identity))
        alive.append(await end_group(identity, 0.2))
        alive.append(is_alive(identity))

    ended: list[asyncio.Task[None]] = []
    result = await run_process(
        shell("trap '' TERM; sleep 600 & while :; do sleep 0.1; done", tmp_path),
        log=tmp_path / "log",
        limits=PATIENT,
        on_start=lambda identity: ended.append(asyncio.create_task(another_graftline(identity))),
    )
    await ended[0]
    assert alive == [True, True, False]
    assert result.status == -signal.SIGKILL
    assert group_is_gone(left[0].pid)
    assert await end_group(left[0], 0.2) is False


async def test_stranger_with_a_reused_pid_is_left_alone(tmp_path: Path) -> None:
    started: list[ProcessIdentity] = []
    answers: list[bool] = []

    async def mistake(identity: ProcessIdentity) -> None:
        earlier = ProcessIdentity(identity.pid, "1")
        answers.extend([is_alive(earlier), await end_group(earlier, 0.2), is_alive(ProcessIdentity(identity.pid, ""))])
        (tmp_path / "go").touch()

    tasks: list[asyncio.Task[None]] = []

    def begin(identity: ProcessIdentity) -> None:
        started.append(identity)
        tasks.append(asyncio.create_task(mistake(identity)))

    result = await run_process(
        shell("until [ -e go ]; do sleep 0.02; done; exit 9", tmp_path),
        log=tmp_path / "log",
        limits=PATIENT,
        on_start=begin,
    )
    assert (result.status, answers) == (9, [False, False, False])
