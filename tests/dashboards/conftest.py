"""A served warehouse with a moving market, a dashboard over it, and a browser that may not leave this machine."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from urllib.request import urlopen

import pytest

from pipeline.profile import Profile, load_profile

_HERE = Path(__file__).resolve().parent
_CHROMIUM = Path("/usr/bin/chromium")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@dataclass
class Stage:
    """The warehouse process; it can be held, killed and started again."""

    data_dir: Path
    port: int
    process: subprocess.Popen | None = field(default=None)

    @property
    def profile(self) -> Profile:
        return load_profile(self.data_dir, "demo")

    def start(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, str(_HERE / "stage.py"), str(self.data_dir), str(self.port)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self.process.stdout.readline() == "ready\n"

    def say(self, word: str) -> None:
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()

    def kill(self) -> None:
        self.process.kill()
        self._wait()

    def stop(self) -> None:
        if self.process.poll() is None:
            self.say("stop")
        self._wait()

    def _wait(self) -> None:
        self.process.wait(timeout=60)
        self.process.stdin.close()
        self.process.stdout.close()


@pytest.fixture(scope="session")
def stage(tmp_path_factory) -> Iterator[Stage]:
    stage = Stage(tmp_path_factory.mktemp("dashboards"), free_port())
    stage.start()
    yield stage
    stage.stop()


@contextmanager
def served(stage: Stage, **chosen: str) -> Iterator[str]:
    """The address of a dashboard over the stage, with these settings; one that says a traceback fails the test."""
    port = free_port()
    environment = os.environ | {
        "SPREADWATCH_DATA_DIR": str(stage.data_dir),
        "SPREADWATCH_DASHBOARD_PORT": str(port),
        "SPREADWATCH_PREFECT_PORT": str(free_port()),
        "SPREADWATCH_LOG_LEVEL": "WARNING",
        "SPREADWATCH_UPLOAD_MAX_MB": "1",
        **{f"SPREADWATCH_{name.upper()}": value for name, value in chosen.items()},
    }
    said = stage.data_dir / f"dashboard-{port}.log"
    with said.open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "dashboards", "--profile", "demo"], env=environment, stdout=log, stderr=log, cwd=_HERE.parents[1]
        )
        for _ in range(400):
            assert process.poll() is None, said.read_text()
            with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
                break
            time.sleep(0.2)
        yield f"http://127.0.0.1:{port}"
        process.terminate()
        assert process.wait(timeout=60) == 0
    assert "Traceback" not in said.read_text(), said.read_text()


@pytest.fixture(scope="session")
def served_dashboard():
    """``served``, for tests that want a dashboard with settings of their own."""
    return served


@pytest.fixture(scope="session")
def dashboard(stage) -> Iterator[str]:
    """The address of a dashboard over the stage that only this machine can reach: nobody has to log in."""
    with served(stage) as url:
        urlopen(f"{url}/").close()  # the first page takes longest
        yield url


@pytest.fixture(scope="module")
def chromium():
    """Chromium for the tests of one file: while Playwright is open, its event loop runs in this thread and `asyncio.run` is refused."""
    if not _CHROMIUM.exists():
        pytest.skip(f"chromium is not at {_CHROMIUM}; `apt-get install chromium`")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=str(_CHROMIUM), args=["--no-sandbox", "--disable-gpu", "--disable-background-networking"]
        )
        yield browser
        browser.close()


_SHIFTS = """window.shifts = []; new PerformanceObserver((list) => {
    for (const e of list.getEntries()) if (!e.hadRecentInput)
        window.shifts.push([e.value, e.sources.map((s) => `${s.node?.nodeName ?? "?"}.${s.node?.className ?? ""}`).join(" ")])
}).observe({ type: "layout-shift", buffered: true })"""


@pytest.fixture
def tab(chromium, dashboard):
    """A tab: ``open(query, width)`` gives the page. What asks for anything outside this machine, or says an error, fails the test.

    ``window.shifts`` of the page are its layout shifts, [how far, of what].
    """
    contexts, errors, outside = [], [], []

    def opened(query: str = "", width: int = 1440):
        context = chromium.new_context(viewport={"width": width, "height": 900 if width > 600 else 844}, accept_downloads=True)
        contexts.append(context)

        def judge(route) -> None:
            if route.request.url.startswith((f"{dashboard}/", "data:", "blob:")):
                route.continue_()
            else:
                outside.append(route.request.url)
                route.abort()

        context.route("**/*", judge)
        context.add_init_script(_SHIFTS)
        page = context.new_page()
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on(
            "websocket", lambda socket: outside.append(socket.url) if not socket.url.startswith(dashboard.replace("http", "ws")) else None
        )
        page.set_default_timeout(60_000)
        page.goto(f"{dashboard}/{query}")
        page.locator('[data-live="True"]').wait_for(state="attached")
        return page

    yield SimpleNamespace(open=opened, errors=errors, outside=outside, url=dashboard)
    for context in contexts:
        context.close()
    assert outside == []
    assert errors == []
