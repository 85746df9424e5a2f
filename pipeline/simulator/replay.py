"""Plays recordings: every frame again, as it was recorded, paced by receive time.

The clock starts when both routes have a subscriber, or three seconds after the first one, and in either case not before
subscriptions have stood still for a moment, as clients subscribe in batches. A frame goes to those who have
subscribed to its stream at that moment; who comes late gets what comes after. After the last frame every connection is told
the end, and stays open.
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
import time
from collections.abc import Iterator

import msgspec

from pipeline.errors import RecordingError
from pipeline.journal.recording import merge_recordings
from pipeline.simulator.config import SimulatorConfig
from pipeline.simulator.frames import REPLAY_END
from pipeline.simulator.hub import Hub
from pipeline.simulator.recorded import Recorded, RecordedHistory, scan
from pipeline.simulator.streams import Route

_log = logging.getLogger(__name__)

_WAIT_FOR_SECOND_ROUTE_S = 3.0
_SETTLED_S = 0.3
_EARLY_S = 0.001  # a frame due within a millisecond is sent at once
_BREATH = 100  # frames between two looks at the other tasks
_WRAPPED = b'{"stream":"'
_TIMES = re.compile(rb'("[ET]":)(\d{13})')
_KLINE_TIMES = re.compile(rb'("[EtT]":)(\d{13})')
_INNER = b',"data":'


class _Bare(msgspec.Struct, gc=False):
    e: str = ""
    s: str = ""


_decode_bare = msgspec.json.Decoder(_Bare).decode


async def open_replay(config: SimulatorConfig, hub: Hub) -> Replay:
    """Read the recordings once and make a replay of them. Lines that cannot be read are passed over, with a warning.

    Raises:
        RecordingError: when a file cannot be opened, or holds nothing to replay.
    """
    bad: list[RecordingError] = []
    recorded = await asyncio.to_thread(scan, merge_recordings(config.replay, on_bad=bad.append))
    if bad:
        _log.warning("simulator.recording_damaged", extra={"lines": len(bad), "first": str(bad[0])})
    if not recorded.frames:
        msg = f"{', '.join(map(str, config.replay))}: nothing to replay; expected lines of `<recv_ns> <json>` or `<recv_s>: <json>`"
        raise RecordingError(msg)
    return Replay(config, hub, recorded)


class Replay:
    """One playing of the configured recordings into a hub."""

    def __init__(self, config: SimulatorConfig, hub: Hub, recorded: Recorded) -> None:
        self._config = config
        self._hub = hub
        self._recorded = recorded
        self._started_s: float | None = None
        self._sent_ns = recorded.first_ns
        self._fixed_shift_ms: int | None = None
        self.history = RecordedHistory(recorded, self.clock_ns, self.shift_ms)

    def clock_ns(self) -> int:
        """Where the replay is, in the recording's receive time."""
        if self._started_s is None:
            return self._recorded.first_ns
        if math.isinf(self._config.speed):
            return self._sent_ns
        elapsed_ns = int((time.monotonic() - self._started_s) * 1e9 * self._config.speed)
        return min(self._recorded.first_ns + elapsed_ns, self._recorded.last_ns)

    def shift_ms(self) -> int:
        """What is added to recorded times: 0, or as much as brings the first frame to the start of the replay.

        Whole minutes when there are klines, so that they still begin with the minute, else whole seconds; never into the future.
        """
        if not self._config.shift_to_now:
            return 0
        if self._fixed_shift_ms is not None:
            return self._fixed_shift_ms
        step = 60_000 if self._recorded.has_klines else 1_000
        return (time.time_ns() - self._recorded.first_ns) // 1_000_000 // step * step

    async def run(self) -> None:
        """Wait for subscribers, play, tell the end."""
        await self._wait_for_subscribers()
        self._fixed_shift_ms = self.shift_ms()
        self._started_s = time.monotonic()
        _log.info("simulator.replay_started", extra={"frames": self._recorded.frames, "speed": self._config.speed})
        sent = 0
        for recv_ns, raw in merge_recordings(self._config.replay, on_bad=_passed_over):
            await self._until(recv_ns)
            self._send(raw)
            self._sent_ns = max(self._sent_ns, recv_ns)
            sent += 1
            if sent % _BREATH == 0:
                await asyncio.sleep(0)
                await self._hub.room()
        self._hub.ended = REPLAY_END
        self._hub.deliver_all(REPLAY_END)
        _log.info("simulator.replay_ended", extra={"frames": sent})

    async def _wait_for_subscribers(self) -> None:
        first_s: float | None = None
        while True:
            routes = self._hub.routes()
            if routes:
                first_s = first_s or time.monotonic()
                now_s = time.monotonic()
                enough = {Route.MARKET, Route.PUBLIC} <= routes or now_s - first_s >= _WAIT_FOR_SECOND_ROUTE_S
                if enough and now_s - self._hub.changed_s >= _SETTLED_S:
                    return
            else:
                first_s = None
            await asyncio.sleep(0.01)

    async def _until(self, recv_ns: int) -> None:
        if math.isinf(self._config.speed) or self._started_s is None:
            return
        due_s = self._started_s + (recv_ns - self._recorded.first_ns) / 1e9 / self._config.speed
        wait_s = due_s - time.monotonic()
        if wait_s > _EARLY_S:
            await asyncio.sleep(wait_s)

    def _send(self, raw: bytes) -> None:
        for stream, data, whole in _take_apart(raw):
            if self._fixed_shift_ms:
                shift = self._fixed_shift_ms
                self._hub.deliver_both(stream, _shifted(data, shift), _shifted(whole, shift))
            else:
                self._hub.deliver_both(stream, data, whole)


def _take_apart(raw: bytes) -> Iterator[tuple[str, bytes, bytes]]:
    """Stream name, bare and combined form of a recorded line; nothing for a line that no stream could have sent."""
    if raw.startswith(_WRAPPED):
        end = raw.find(b'"', len(_WRAPPED))
        inner = raw.find(_INNER, end)
        if 0 < end < inner:
            yield raw[len(_WRAPPED) : end].decode(errors="replace"), raw[inner + len(_INNER) : -1], raw
        return
    try:
        bare = _decode_bare(raw)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return
    if bare.e in {"aggTrade", "trade", "bookTicker"} and bare.s:
        stream = f"{bare.s.lower()}@{bare.e}"
        yield stream, raw, b'{"stream":"%s","data":%s}' % (stream.encode(), raw)


def _passed_over(error: RecordingError) -> None:
    """Damage has been reported when the recording was opened."""


def _shifted(raw: bytes, shift_ms: int) -> bytes:
    times = _KLINE_TIMES if b'"e":"kline"' in raw else _TIMES
    return times.sub(lambda match: match[1] + str(int(match[2]) + shift_ms).encode(), raw)
