"""How long a day of 1s bars takes to open in the Overview, and how smoothly it zooms: measured in a browser.

    python benchmarks/measure_chart.py http://127.0.0.1:5006 [SYMBOL]

over a dashboard that runs. ``open_day`` and ``zoom`` are the measurements alone, for whoever has a page already.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass
from typing import Any

_CHROMIUM = "/usr/bin/chromium"
_WAIT_MS = 60_000

# Bars that the chart holds in the newest day, and the number of its candles.
_HELD = """() => {
  for (const document of Bokeh.documents) for (const model of document.all_models)
    if (model.type === "ColumnDataSource" && model.data.half && model.data.ts.length) {
      const {ts, count} = model.data, from = ts.at(-1) - 86_400_000
      let bars = 0, candles = 0
      for (let i = 0; i < ts.length; i++) if (ts[i] >= from) { bars += count[i]; candles++ }
      return {bars, candles, step: ts.length > 1 ? ts.at(-1) - ts.at(-2) : 0}
    }
  return null
}"""
_RECORD = """() => {
  const frames = window.__frames = []
  let last = performance.now()
  const tick = (now) => {
    frames.push(now - last); last = now
    if (frames.length < 5000 && window.__frames === frames) requestAnimationFrame(tick)
  }
  requestAnimationFrame(tick)
}"""


@dataclass(frozen=True, slots=True)
class Opening:
    """A day that was opened: seconds from the request until the first canvas was there, and until all its bars were drawn."""

    first_s: float
    drawn_s: float
    bars: int
    candles: int


@dataclass(frozen=True, slots=True)
class Zoom:
    """A turn of the wheel: times between frames in milliseconds, and how long after it the finer candles were there."""

    frame_p50_ms: float
    frame_p95_ms: float
    frame_max_ms: float
    settled_ms: float
    candle_s: float


def open_day(page: Any, url: str, symbol: str, *, least: int = 80_000) -> Opening:
    """Open the Overview at a day of 1s bars of a symbol, and wait until at least ``least`` of its 86,400 bars are in the chart."""
    begun = time.perf_counter()
    page.goto(f"{url}/?view=overview&symbol={symbol}&timeframe=1s&range=1d")
    page.locator("canvas").first.wait_for(timeout=_WAIT_MS)
    first = time.perf_counter() - begun
    page.wait_for_function(f"(({_HELD})()?.bars ?? 0) >= {least}", timeout=_WAIT_MS)
    drawn = time.perf_counter() - begun
    held = page.evaluate(_HELD)
    return Opening(first, drawn, int(held["bars"]), int(held["candles"]))


def zoom(page: Any, *, turns: int = 12, delta: int = -120) -> Zoom:
    """Turn the wheel over the middle of the chart until candles become shorter, and record every frame on the way."""
    box = page.locator("canvas").first.bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    before = page.evaluate(_HELD)["step"]
    page.evaluate(_RECORD)
    for _ in range(turns):
        page.mouse.wheel(0, delta)
        page.wait_for_timeout(30)
    begun = time.perf_counter()
    page.wait_for_function(f"(({_HELD})()?.step ?? {before}) !== {before}", timeout=_WAIT_MS)
    settled = time.perf_counter() - begun
    frames = sorted(page.evaluate("() => { const f = window.__frames; window.__frames = null; return f }"))
    after = page.evaluate(_HELD)["step"]
    return Zoom(frames[len(frames) // 2], frames[int(len(frames) * 0.95)], frames[-1], settled * 1000, after / 1000)


def main(url: str, symbol: str) -> None:
    """Print both."""
    from playwright.sync_api import sync_playwright  # only who measures needs a browser

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1440, "height": 900})
        opening = open_day(page, url, symbol)
        print(f"opened: canvas {opening.first_s:.2f} s, {opening.bars:,} bars in {opening.candles} candles {opening.drawn_s:.2f} s")
        for way in (-120, 120):
            turned = zoom(page, delta=way)
            print(
                f"zoom {'in' if way < 0 else 'out'}: frames p50 {turned.frame_p50_ms:.0f} ms, p95 {turned.frame_p95_ms:.0f} ms, "
                f"longest {turned.frame_max_ms:.0f} ms; candles of {turned.candle_s:.0f} s {turned.settled_ms:.0f} ms after the wheel"
            )
        browser.close()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("url", help="address of a dashboard that runs")
    parser.add_argument("symbol", nargs="?", default="BTCUSDT", help="whose day is opened")
    arguments = parser.parse_args()
    main(arguments.url.rstrip("/"), arguments.symbol)
