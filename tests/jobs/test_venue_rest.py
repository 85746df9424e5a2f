from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from pipeline.errors import BadRequest, RateLimited, RegionBlocked, UsageError, VenueUnavailable
from pipeline.jobs import venue_rest
from pipeline.jobs.venue_rest import VenueRest
from pipeline.venues import venue

BINANCE = venue()
TIME = (200, {}, b'{"serverTime":1700000000000}')


@contextmanager
def answering(*answers: tuple[int, dict[str, str], bytes]) -> Iterator[tuple[str, list[float]]]:
    """A server that gives these answers in turn, the last one again and again; with the times of the requests."""
    left = list(answers)
    asked: list[float] = []

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked.append(time.monotonic())
            status, headers, body = left.pop(0) if len(left) > 1 else left[0]
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_arguments: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}", asked
        finally:
            server.shutdown()
            thread.join()


def test_retry_after_is_waited_for():
    with answering((429, {"Retry-After": "1"}, b"{}"), TIME) as (url, asked), VenueRest(url) as rest:
        assert rest.server_time_ms() == 1_700_000_000_000
    assert 1.0 <= asked[1] - asked[0] < 3


def test_a_long_ban_is_raised_at_once():
    with (
        answering((418, {"Retry-After": "7200"}, b"{}")) as (url, asked),
        VenueRest(url) as rest,
        pytest.raises(RateLimited, match="418") as caught,
    ):
        rest.server_time_ms()
    assert caught.value.retry_after_s == 7200
    assert len(asked) == 1


def test_a_server_error_is_tried_again(monkeypatch):
    monkeypatch.setattr(venue_rest, "_FIRST_PAUSE_S", 0.01)
    with answering((503, {}, b""), (502, {}, b""), TIME) as (url, asked), VenueRest(url) as rest:
        assert rest.server_time_ms() == 1_700_000_000_000
    assert len(asked) == 3
    with answering((503, {}, b"")) as (url, asked), VenueRest(url) as rest, pytest.raises(VenueUnavailable, match="503"):
        rest.server_time_ms()
    assert len(asked) == 3


@pytest.mark.parametrize(("status", "error"), [(451, RegionBlocked), (403, RegionBlocked), (400, BadRequest)])
def test_what_trying_again_cannot_help_is_raised_at_once(status, error):
    with answering((status, {}, b'{"code":-1121,"msg":"Invalid symbol."}')) as (url, asked), VenueRest(url) as rest, pytest.raises(error):
        rest.klines("BTCUSDT", "1m", start_ms=0, end_ms=1, limit=1, now_ms=0)
    assert len(asked) == 1


def test_nobody_there_is_one_clear_line(monkeypatch):
    monkeypatch.setattr(venue_rest, "_FIRST_PAUSE_S", 0.01)
    with VenueRest("http://127.0.0.1:9") as rest, pytest.raises(VenueUnavailable, match="cannot be reached") as caught:
        rest.get(BINANCE.ping())
    assert "\n" not in str(caught.value)


def test_the_budget_of_the_minute_is_kept(monkeypatch):
    """The venue says that others have used it up: the next request waits for the next minute."""
    pauses = []

    class Clock:
        now = 1_000_000_060.0

        def time(self) -> float:
            return self.now

        def sleep(self, seconds: float) -> None:
            pauses.append(seconds)
            self.now += seconds

    monkeypatch.setattr(venue_rest, "time", Clock())
    with answering((200, {"X-MBX-USED-WEIGHT-1M": "1795"}, TIME[2])) as (url, _), VenueRest(url, weight_per_minute=1_800) as rest:
        rest.server_time_ms()
        rest.get(BINANCE.klines("BTCUSDT", "1m", 0, 1, 1_000))
        assert pauses == []
        rest.get(BINANCE.klines("BTCUSDT", "1m", 0, 1, 1_000))
    assert pauses == [pytest.approx(20.05)]


def test_trades_come_by_window_and_by_id_and_go_into_the_journal_as_they_are(venue_url):
    end = time.time_ns() // 1_000_000 - 60_000
    with VenueRest(venue_url) as rest:
        window = rest.agg_trades("BTCUSDT", start_ms=end - 60_000, end_ms=end, limit=50)
        again = rest.agg_trades("BTCUSDT", from_id=window[0].trade_id, limit=50)
        ids = [trade.trade_id for trade in window]
        assert ids == list(range(ids[0], ids[0] + 50)) == [trade.trade_id for trade in again]
        assert [(trade.price, trade.event_time_ms) for trade in window] == [(trade.price, trade.event_time_ms) for trade in again]
        assert [BINANCE.decode(BINANCE.encode_trade(trade), trade.recv_ns) for trade in window] == window
        with pytest.raises(BadRequest, match="2 days"):
            rest.agg_trades("BTCUSDT", start_ms=end - 49 * 3_600_000, end_ms=end - 49 * 3_600_000 + 1)
        for times in ({}, {"start_ms": 1}, {"from_id": 1, "start_ms": 1, "end_ms": 2}):
            with pytest.raises(UsageError, match="from_id, or by start_ms and end_ms"):
                rest.agg_trades("BTCUSDT", **times)
