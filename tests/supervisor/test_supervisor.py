"""The supervisor with real child processes."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Self

import psutil
import pytest

from pipeline.errors import AlreadyRunning, PortInUse
from pipeline.supervisor import family, lock, status
from pipeline.supervisor.ports import PortNeed
from pipeline.supervisor.spec import FileProbe, HttpProbe, Policy, ProcessSpec, State, TcpProbe
from pipeline.supervisor.supervisor import Supervisor

QUICK = Policy(
    first_delay_s=0.05, max_delay_s=0.2, settle_s=0.1, starting_probe_s=0.05, running_probe_s=0.1, start_timeout_s=30, hung_after_s=0.5
)
SLEEP = "import time; time.sleep(600)"


def python(code: str) -> tuple[str, ...]:
    return (sys.executable, "-c", textwrap.dedent(code))


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Run:
    """A supervisor beside the test, with everything that it reported."""

    def __init__(self, base: Path, *specs: ProcessSpec, policy: Policy = QUICK) -> None:
        self.run_directory = base / "demo" / "run"
        self.said: list[tuple[str, State, str]] = []
        self.supervisor = Supervisor(
            specs,
            run_directory=self.run_directory,
            logs=base / "logs",
            report=lambda *what: self.said.append(what),
            policy=policy,
            urls={"dashboard": "http://here"},
        )

    async def __aenter__(self) -> Self:
        self.task = asyncio.create_task(self.supervisor.run())
        return self

    async def __aexit__(self, *exc: object) -> None:
        self.supervisor.stop()
        await self.task
        assert family.find(family.mark_of(self.run_directory)) == []

    async def until(self, condition: Callable[[], object], *, timeout_s: float = 10) -> None:
        deadline = time.monotonic() + timeout_s
        while not condition():
            if self.task.done():
                await self.task
            assert time.monotonic() < deadline, self.said
            await asyncio.sleep(0.02)

    def row(self, name: str) -> status.ProcessStatus:
        return self.supervisor.children[name].status

    def states(self, name: str) -> list[State]:
        return [state for who, state, _ in self.said if who == name]


def test_what_is_killed_comes_back_and_nothing_is_left_at_the_end(tmp_path: Path) -> None:
    async def story() -> None:
        async with Run(tmp_path, ProcessSpec("sleeper", python(SLEEP))) as run:
            await asyncio.wait_for(run.supervisor.all_healthy.wait(), 60)
            first = run.row("sleeper").pid
            assert first is not None
            os.kill(first, signal.SIGKILL)
            await run.until(lambda: run.row("sleeper").state is State.HEALTHY and run.row("sleeper").pid != first)
            assert run.row("sleeper").restarts == 1
            assert any(
                re.search(r"was ended by SIGKILL \(see .*sleeper\.log\); starting it again in 0\.05 s", detail) for _, _, detail in run.said
            )
            seen = status.read(run.run_directory)
            assert seen is not None
            assert seen.healthy
            assert seen.supervisor_pid == os.getpid()
            assert seen.urls == {"dashboard": "http://here"}
            assert [(row.name, row.restarts) for row in seen.processes] == [("sleeper", 1)]
        assert run.row("sleeper").state is State.STOPPED
        assert list(run.run_directory.iterdir()) == []
        assert status.read(run.run_directory) is None

    asyncio.run(story())


def test_pauses_grow_and_the_last_words_are_told(tmp_path: Path) -> None:
    async def story() -> None:
        async with Run(tmp_path, ProcessSpec("broken", python("print('port 5 is cursed'); raise SystemExit(3)"))) as run:
            await run.until(lambda: run.states("broken").count(State.BACKOFF) >= 4)
        pauses = [detail for _, state, detail in run.said if state is State.BACKOFF]
        expected = [f"exited with code 3: port 5 is cursed; starting it again in {pause} s" for pause in ("0.05", "0.1", "0.2", "0.2")]
        assert pauses[:4] == expected

    asyncio.run(story())


def test_a_command_that_does_not_exist_is_a_backoff_not_a_crash(tmp_path: Path) -> None:
    async def story() -> None:
        async with Run(tmp_path, ProcessSpec("nobody", ("/does/not/exist",))) as run:
            await run.until(lambda: State.BACKOFF in run.states("nobody"))
        assert "cannot be started" in run.said[0][2]

    asyncio.run(story())


def test_start_waits_for_health_and_stop_runs_backwards(tmp_path: Path) -> None:
    journal = tmp_path / "order"
    story_of = """
        import pathlib, signal, sys, time
        name, journal, ready = sys.argv[1], pathlib.Path(sys.argv[2]), pathlib.Path(sys.argv[3])
        def note(what):
            with journal.open("a") as file:
                file.write(f"{what} {name}\\n")
        def end(*_):
            time.sleep(0.2)
            note("stop")
            sys.exit(0)
        signal.signal(signal.SIGTERM, end)
        note("start")
        time.sleep(0.3)
        ready.touch()
        time.sleep(600)
        """

    def spec(name: str, *after: str) -> ProcessSpec:
        ready = tmp_path / name
        return ProcessSpec(name, (*python(story_of), name, str(journal), str(ready)), after=after, probe=FileProbe(ready))

    async def story() -> None:
        async with Run(tmp_path, spec("c", "b"), spec("a"), spec("b", "a")) as run:
            await asyncio.wait_for(run.supervisor.all_healthy.wait(), 60)

    asyncio.run(story())
    assert journal.read_text().split("\n")[:-1] == ["start a", "start b", "start c", "stop c", "stop b", "stop a"]


def test_what_ignores_sigterm_is_killed_after_its_grace_with_its_runaway_children(tmp_path: Path) -> None:
    stubborn = f"""
        import pathlib, signal, subprocess, sys, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        child = subprocess.Popen([sys.executable, "-c", {SLEEP!r}], start_new_session=True)
        pathlib.Path({str(tmp_path / "grandchild")!r}).write_text(str(child.pid))
        time.sleep(600)
        """

    async def story() -> None:
        probe = FileProbe(tmp_path / "grandchild")
        async with Run(tmp_path, ProcessSpec("stubborn", python(stubborn), probe=probe, grace_s=0.3)) as run:
            await asyncio.wait_for(run.supervisor.all_healthy.wait(), 60)

    asyncio.run(story())
    grandchild = int((tmp_path / "grandchild").read_text())
    assert not psutil.pid_exists(grandchild) or psutil.Process(grandchild).status() == psutil.STATUS_ZOMBIE


def test_hurry_does_not_wait_for_grace(tmp_path: Path) -> None:
    async def story() -> float:
        ready = tmp_path / "ready"
        code = f"""
            import pathlib, signal, time
            signal.signal(signal.SIGTERM, signal.SIG_IGN)
            pathlib.Path({str(ready)!r}).touch()
            time.sleep(600)
            """
        async with Run(tmp_path, ProcessSpec("stubborn", python(code), probe=FileProbe(ready), grace_s=60)) as run:
            await asyncio.wait_for(run.supervisor.all_healthy.wait(), 60)
            run.supervisor.stop()
            await asyncio.sleep(0.2)
            started = time.monotonic()
            run.supervisor.hurry()
            await run.task
            return time.monotonic() - started

    assert asyncio.run(story()) < 30


@pytest.mark.parametrize("kind", ["tcp", "http"])
def test_a_process_that_stops_answering_is_replaced(tmp_path: Path, kind: str) -> None:
    port = free_port()
    probe = TcpProbe("127.0.0.1", port) if kind == "tcp" else HttpProbe("127.0.0.1", port)
    serve = f"""
        import http.server, threading, time
        server = http.server.HTTPServer(("127.0.0.1", {port}), http.server.SimpleHTTPRequestHandler)
        threading.Timer(0.6, lambda: (server.shutdown(), server.server_close())).start()
        server.serve_forever()
        time.sleep(600)
        """

    async def story() -> None:
        async with Run(tmp_path, ProcessSpec("server", (*python(serve),), probe=probe)) as run:
            await run.until(lambda: run.states("server").count(State.HEALTHY) >= 2)
            assert State.UNHEALTHY in run.states("server")
            assert any("has not answered for 0.5 s" in detail for _, _, detail in run.said)

    asyncio.run(story())


def test_two_on_one_profile_are_refused(tmp_path: Path) -> None:
    async def story() -> None:
        async with Run(tmp_path, ProcessSpec("sleeper", python(SLEEP))) as run:
            await asyncio.wait_for(run.supervisor.all_healthy.wait(), 60)
            with pytest.raises(AlreadyRunning, match=rf"profile 'demo' is being run already by process {os.getpid()}; stop it"):
                await Run(tmp_path).supervisor.run()
            assert lock.holder(run.run_directory) == os.getpid()
            assert run.row("sleeper").state is State.HEALTHY

    asyncio.run(story())


def test_a_taken_port_names_the_setting(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        supervisor = Run(tmp_path, ProcessSpec("sleeper", python(SLEEP))).supervisor
        need = PortNeed("127.0.0.1", port, "dashboard", "dashboard_port")
        message = (
            rf"port {port} of the dashboard is taken by \S+ \(pid {os.getpid()}\); .* set dashboard_port \(SPREADWATCH_DASHBOARD_PORT\)"
        )
        with pytest.raises(PortInUse, match=message):
            asyncio.run(supervisor.run((need,)))
    port = free_port()
    needs = (PortNeed("127.0.0.1", port, "dashboard", "dashboard_port"), PortNeed("127.0.0.1", port, "warehouse", "warehouse_port"))
    with pytest.raises(PortInUse, match="set for both dashboard and warehouse; give warehouse_port"):
        asyncio.run(supervisor.run(needs))
    assert lock.holder(tmp_path / "demo" / "run") is None


def test_impossible_orders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="a, b wait for each other"):
        Run(tmp_path, ProcessSpec("a", ("x",), after=("b",)), ProcessSpec("b", ("x",), after=("a",)))


def test_a_supervisor_killed_with_9_leaves_no_orphan_and_no_obstacle(tmp_path: Path) -> None:
    script = tmp_path / "supervise.py"
    script.write_text(
        textwrap.dedent(f"""
        import asyncio, pathlib, subprocess, sys
        from pipeline.supervisor.spec import ProcessSpec
        from pipeline.supervisor.supervisor import Supervisor
        base = pathlib.Path({str(tmp_path)!r})
        deep = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(600)'], start_new_session=True)"
        specs = [ProcessSpec("deep", (sys.executable, "-c", deep)), ProcessSpec("flat", (sys.executable, "-c", {SLEEP!r}))]
        asyncio.run(Supervisor(specs, run_directory=base / "demo" / "run", logs=base / "logs").run())
        """)
    )
    prefix = family.mark_of(tmp_path / "demo" / "run")
    parent = subprocess.Popen([sys.executable, str(script)], cwd=Path(__file__).parents[2])
    try:
        _until(lambda: len(family.find(prefix)) == 3)
        assert lock.holder(tmp_path / "demo" / "run") == parent.pid
        parent.kill()
        parent.wait()
        _until(lambda: family.find(prefix) == [])
        _until(lambda: "the supervisor is gone; ended" in (tmp_path / "logs" / "guard.log").read_text())
        assert status.read(tmp_path / "demo" / "run") is None
    finally:
        parent.kill()
        parent.wait()
        family.end(prefix, grace_s=0.0)

    async def again() -> None:
        async with Run(tmp_path, ProcessSpec("sleeper", python(SLEEP))) as run:
            await asyncio.wait_for(run.supervisor.all_healthy.wait(), 60)

    asyncio.run(again())


def test_leftovers_of_a_supervisor_and_its_guard_killed_together_are_ended_at_the_next_start(tmp_path: Path) -> None:
    mark = family.mark_of(tmp_path / "demo" / "run", "an-older-run", "capture")
    orphan = subprocess.Popen(python(SLEEP), env={**os.environ, family.MARK: mark})

    async def story() -> None:
        async with Run(tmp_path, ProcessSpec("sleeper", python(SLEEP))) as run:
            await asyncio.wait_for(run.supervisor.all_healthy.wait(), 60)
            assert orphan.poll() == -signal.SIGTERM

    try:
        _until(lambda: len(family.find(mark)) == 1)
        asyncio.run(story())
    finally:
        orphan.kill()
        orphan.wait()


def _until(condition: Callable[[], object], *, timeout_s: float = 15) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.05)
