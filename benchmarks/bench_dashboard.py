"""The dashboard over the real chain, simulator to chromium: first paint, wire to painted, many viewers, memory, a day of seconds.

No peer does the same job, so each figure stands beside its target. `make bench` runs it in about four minutes.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
from dashboard_stage import Dashboard, chain, open_tab
from timing import machine_line

from pipeline.profile import Profile
from pipeline.store import Role, connect

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

_CHROMIUM = Path("/usr/bin/chromium")
_SYMBOL = "BTCUSDT"

# The moment at which the candles have data and every view of the page has been drawn.
_WATCH_CHART = """() => {
  const look = () => {
    const doc = window.Bokeh?.documents?.[0]
    const drawn = doc?.is_idle && [...doc.all_models].some((m) => m.type === "ColumnDataSource" && (m.data.half?.length ?? 0) > 0)
    if (drawn) requestAnimationFrame(() => { window.chartAt = performance.now() })
    else requestAnimationFrame(look)
  }
  look()
}"""
# The last candle as it is painted: frame by frame, what has changed since the frame before.
_WATCH_CANDLE = """() => {
  window.paints = []
  let before = ""
  const look = () => {
    for (const m of Bokeh.documents[0].all_models) if (m.type === "ColumnDataSource" && m.data.half) {
      const now = [m.data.ts.at(-1), m.data.volume.at(-1)]
      if (String(now) !== before) { before = String(now); window.paints.push([performance.timeOrigin + performance.now(), ...now]) }
      break
    }
    requestAnimationFrame(look)
  }
  look()
}"""


def main(argv: Sequence[str] | None = None) -> int:
    """Print the figures; returns 1 when one misses its target."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pages", type=int, default=7, help="loads for the first paint, each in a browser without a cache")
    parser.add_argument("--seconds", type=float, default=60.0, help="length of the measurement of latency")
    parser.add_argument("--viewers", type=int, default=20, help="sessions at a time")
    parser.add_argument("--viewer-seconds", type=float, default=20.0, help="length of the measurement with them, and with one")
    parser.add_argument("--opened", type=int, default=500, help="sessions opened and closed one after the other")
    parser.add_argument("--settle", type=float, default=40.0, help="seconds until the server has let go of closed sessions")
    arguments = parser.parse_args(argv)
    print(machine_line("panel", "bokeh", "panel-material-ui", "duckdb"), flush=True)
    missed: list[str] = []

    def tell(what: str, figure: float, unit: str, target: float | None, note: str = "") -> None:
        ok = target is None or figure <= target
        aim = "" if target is None else f"target {target:g} {unit}: {'met' if ok else 'MISSED'}"
        print(f"{what:<52} {figure:>10,.2f} {unit:<4} {aim:<28} {note}".rstrip(), flush=True)
        if not ok:
            missed.append(what)

    with tempfile.TemporaryDirectory(prefix="bench-dashboard-") as directory, chain(Path(directory)) as (profile, dashboard):
        if _CHROMIUM.exists():
            _in_chromium(arguments, profile, dashboard, tell)
        else:
            print(f"chromium is not at {_CHROMIUM}: first paint and latency are left out")
        asyncio.run(_viewers(arguments, dashboard, tell))
        asyncio.run(_memory(arguments, dashboard, tell))
    if missed:
        print(f"missed: {', '.join(missed)}")
    return 1 if missed else 0


# ------------------------------------------------------------------------------------------------ in a browser


def _in_chromium(arguments: argparse.Namespace, profile: Profile, dashboard: Dashboard, tell: Any) -> None:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=str(_CHROMIUM), args=["--no-sandbox", "--disable-gpu"])
        _load(browser, dashboard.url, "")  # what the process does once
        loads = [_load(browser, dashboard.url, "") for _ in range(arguments.pages)]
        tell("first paint, median of fresh browsers", statistics.median(first for first, _ in loads), "s", 2.0)
        tell("first painted chart, median", statistics.median(chart for _, chart in loads), "s", None)
        days = [_load(browser, dashboard.url, f"?view=overview&symbol={_SYMBOL}&timeframe=1s") for _ in range(arguments.pages)]
        tell("1s bars of a profile with a day of them, to the chart", statistics.median(chart for _, chart in days), "s", 2.0)
        page = _page(browser, dashboard.url, f"?view=overview&symbol={_SYMBOL}&timeframe=1m")
        page.evaluate(_WATCH_CANDLE)
        page.wait_for_timeout(arguments.seconds * 1_000)
        paints = page.evaluate("window.paints")
        page.context.close()
        browser.close()
    with connect(profile, Role.READER) as warehouse:
        lags = _lags(warehouse, paints)
    tell("receipt of a trade to its candle painted, p50", statistics.median(lags), "s", None, f"{len(lags)} trades")
    tell("receipt of a trade to its candle painted, p95", statistics.quantiles(lags, n=20)[-1], "s", 1.0)


def _page(browser: Browser, url: str, query: str) -> Page:
    page = browser.new_context(viewport={"width": 1440, "height": 900}).new_page()
    page.set_default_timeout(120_000)
    page.goto(f"{url}/{query}", wait_until="commit")
    page.evaluate(_WATCH_CHART)
    page.wait_for_function("window.chartAt !== undefined")
    return page


def _load(browser: Browser, url: str, query: str) -> tuple[float, float]:
    """Seconds from asking for the page to the first paint, and to the first chart that is drawn."""
    page = _page(browser, url, query)
    first: float = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    chart: float = page.evaluate("window.chartAt")
    page.context.close()
    return first / 1e3, chart / 1e3


def _lags(warehouse: Any, paints: list[list[float]]) -> list[float]:
    """For each trade the seconds from its receipt to the first frame whose candle contains it.

    A candle is known by its volume: trades of a minute are added up in their order, and the frame that shows a sum, or more, has them all.
    """
    trades = warehouse.select(
        "SELECT epoch_ms(time_bucket(INTERVAL 1 MINUTE, event_time)) AS minute, epoch_us(recv_time) / 1e6 AS received, "
        "CAST(sum(qty) OVER (PARTITION BY time_bucket(INTERVAL 1 MINUTE, event_time) ORDER BY trade_id) AS DOUBLE) AS volume "
        "FROM ticks WHERE symbol = $symbol AND event_time > now() - INTERVAL 30 MINUTE",
        symbol=_SYMBOL,
    )
    lags: list[float] = []
    begun = paints[0][0] / 1e3
    for minute, received, volume in trades.iter_rows():
        if received < begun:
            continue
        shown = next((at / 1e3 for at, ts, painted in paints if (ts == minute and painted >= volume * (1 - 1e-9)) or ts > minute), None)
        if shown is not None:
            lags.append(shown - received)
    return lags


# ------------------------------------------------------------------------------------------------ many sessions


async def _viewers(arguments: argparse.Namespace, dashboard: Dashboard, tell: Any) -> None:
    rates = {}
    for count in (1, arguments.viewers):
        async with AsyncExitStack() as tabs, httpx.AsyncClient(timeout=120) as client:
            opened = [await open_tab(client, dashboard.url, "?view=overview", tabs) for _ in range(count)]
            listening = [asyncio.create_task(tab.listen()) for tab in opened]
            await asyncio.sleep(3)
            before, begun, had = dashboard.figures(), time.monotonic(), sum(tab.messages for tab in opened)
            await asyncio.sleep(arguments.viewer_seconds)
            after, took = dashboard.figures(), time.monotonic() - begun
            pushed = (sum(tab.messages for tab in opened) - had) / took / count
            rates[count] = (after.queries - before.queries) / took
            target = 50.0 if count > 1 else None
            tell(f"processor, {count} session{'s' if count > 1 else ''}", 100 * (after.cpu_s - before.cpu_s) / took, "%", target,
                 f"{pushed:.1f} messages a second each")  # fmt: skip
            for task in listening:
                task.cancel()
    alone, many = rates[1], rates[arguments.viewers]
    tell(f"queries a second, {arguments.viewers} sessions", many, "/s", round(alone * 1.15 + 0.5, 1), f"one session: {alone:.1f}")


async def _memory(arguments: argparse.Namespace, dashboard: Dashboard, tell: Any) -> None:
    async def turn(times: int) -> float:
        async with httpx.AsyncClient(timeout=120) as client:
            for at in range(times):
                async with AsyncExitStack() as tabs:
                    await open_tab(client, dashboard.url, f"?view={('overview', 'pair', 'alerts', 'health')[at % 4]}", tabs)
        await asyncio.sleep(arguments.settle)  # sessions are let go half a minute after their socket
        return dashboard.figures().rss_mb

    count = arguments.opened
    first = await turn(max(10, count // 10))
    last = await turn(count)
    figures = dashboard.figures()
    tell(f"memory after {count} sessions opened and closed, growth", last - first, "MB", 0.05 * count, f"{first:.0f} to {last:.0f} MB")
    tell("pages still alive", figures.pages, "", 0.0, f"{figures.watched} topics watched")


if __name__ == "__main__":
    sys.exit(main())
