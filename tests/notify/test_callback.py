from __future__ import annotations

import asyncio
import importlib
import json
import sys
import textwrap
import time

import pytest

from pipeline.errors import NotifyError, SettingsError
from pipeline.notify import CallbackChannel


@pytest.fixture
def hooks(tmp_path, monkeypatch):
    """A real module of a user's, on the path."""
    (tmp_path / "sw_hooks").mkdir()
    (tmp_path / "sw_hooks" / "__init__.py").write_text("")
    (tmp_path / "sw_hooks" / "mine.py").write_text(
        textwrap.dedent("""
            import sys, threading, time
            from pipeline.errors import NotifyError

            seen = []
            release = threading.Event()

            def plain(event):
                seen.append((event, threading.current_thread().name))

            async def coroutine(event):
                seen.append((event, threading.current_thread().name))

            def write(event):
                event["value"] = 0

            def fail(event):
                raise ValueError("no\\n room")

            def tell(event):
                raise ValueError("404 for url 'https://hooks.example.com/s3cret?key=s3cret'")

            def timeout(event):
                raise TimeoutError("theirs")

            def refuse(event):
                raise NotifyError("not for me", retryable=False)

            def leave(event):
                sys.exit(1)

            async def leave_slowly(event):
                sys.exit(1)

            def hang(event):
                seen.append((event, ""))
                release.wait(20)

            class Desk:
                @staticmethod
                def ring(event):
                    seen.append((event, ""))

            constant = 7
        """)
    )
    (tmp_path / "sw_hooks" / "broken.py").write_text("raise RuntimeError('half\\nwritten')")
    monkeypatch.syspath_prepend(tmp_path)
    module = importlib.import_module("sw_hooks.mine")
    yield module
    module.release.set()
    for name in [name for name in sys.modules if name.startswith("sw_hooks")]:
        del sys.modules[name]


def call(channel, event):
    asyncio.run(channel.send(event.event_id, event.to_json()))


def refused(channel, event):
    with pytest.raises(NotifyError) as caught:
        call(channel, event)
    assert "\n" not in str(caught.value)
    return caught.value


@pytest.mark.parametrize(("name", "thread"), [("plain", "alert-callback"), ("coroutine", "MainThread"), ("Desk.ring", "")])
def test_the_function_gets_the_event(hooks, make_event, name, thread):
    event = make_event()
    call(CallbackChannel(f"sw_hooks.mine:{name}"), event)
    ((seen, where),) = hooks.seen
    assert dict(seen) == json.loads(event.to_json())
    assert seen["event_id"] == event.event_id
    assert seen["value"] == 60_123.4
    assert where == thread


def test_one_event_after_the_other(hooks, make_event):
    channel = CallbackChannel("sw_hooks.mine:plain")
    events = [make_event(at_us=k) for k in range(100_000, 5_100_000, 100_000)]

    async def send_all():
        for event in events:
            await channel.send(event.event_id, event.to_json())

    asyncio.run(send_all())
    assert [seen["event_id"] for seen, _ in hooks.seen] == [event.event_id for event in events]


@pytest.mark.parametrize(
    ("name", "retryable", "part"),
    [
        ("fail", True, "raised ValueError: no room"),
        ("write", True, "raised TypeError"),
        ("timeout", True, "raised TimeoutError: theirs"),
        ("leave", True, "raised SystemExit: 1"),
        ("leave_slowly", True, "raised SystemExit: 1"),
        ("refuse", False, "not for me"),
    ],
)
def test_what_the_function_raises(hooks, make_event, name, retryable, part):
    error = refused(CallbackChannel(f"sw_hooks.mine:{name}"), make_event())
    assert error.retryable is retryable
    assert part in str(error)


def test_a_function_that_hangs_holds_up_nothing(hooks, make_event):
    channel = CallbackChannel("sw_hooks.mine:hang", timeout_s=0.1)
    begin = time.monotonic()
    assert "took longer than 0.1 s" in str(refused(channel, make_event()))
    error = refused(channel, make_event())
    assert error.retryable
    assert "still busy" in str(error)
    assert time.monotonic() - begin < 15
    hooks.release.set()
    channel._thread.join(5)
    call(channel, make_event())
    assert len(hooks.seen) == 2


@pytest.mark.parametrize(
    ("target", "part"),
    [
        ("sw_hooks.mine", "expected package.module:function"),
        ("sw_hooks.mine:", "expected package.module:function"),
        (":plain", "expected package.module:function"),
        ("../x:y", "expected package.module:function"),
        ("sw_nowhere.x:f", "put its directory on PYTHONPATH"),
        ("sw_hooks.broken:f", "half written"),
        ("sw_hooks.mine:nothing", "names no function"),
        ("sw_hooks.mine:constant", "names no function"),
    ],
)
def test_targets_that_do_not_exist(hooks, target, part):
    with pytest.raises(SettingsError) as caught:
        CallbackChannel(target)
    assert part in str(caught.value)
    assert "\n" not in str(caught.value)


def test_addresses_in_what_a_function_raises_are_not_repeated(hooks, make_event):
    assert "raised ValueError: 404 for url 'https://...'" in str(refused(CallbackChannel("sw_hooks.mine:tell"), make_event()))
