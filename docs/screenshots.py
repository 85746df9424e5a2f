"""Pictures of every view of a running dashboard, dark and light, wide and narrow.

``make demo`` in one terminal, ``make screenshots`` in another. ``--readme`` renews the two of README instead (``docs/images``).
"""

from __future__ import annotations

import argparse
from pathlib import Path

from playwright.sync_api import Browser, Page, sync_playwright

_IMAGES = Path(__file__).resolve().parent / "images"
_README = ("overview", "pair")
_WIDTHS = {1440: 900, 390: 844}
_THEMES = ("dark", "light")
_SETTLED_MS = 4_000  # charts have drawn themselves, messages of the start have gone


def _open(browser: Browser, url: str, width: int, height: int) -> Page:
    page = browser.new_context(viewport={"width": width, "height": height}, reduced_motion="reduce").new_page()
    page.set_default_timeout(120_000)
    page.goto(url)
    page.locator('[data-live="True"]').wait_for(state="attached")
    page.wait_for_timeout(_SETTLED_MS)
    return page


def _whole(page: Page, path: Path, width: int) -> None:
    """The view to its end: what scrolls is inside the page, so the window grows instead."""
    height = page.evaluate("Math.max(...[...document.querySelectorAll('.main-content, .main, html')].map((e) => e.scrollHeight))")
    page.set_viewport_size({"width": width, "height": max(_WIDTHS[width], min(int(height) + 60, 6_000))})
    page.wait_for_timeout(1_000)
    page.screenshot(path=path)


def main() -> None:
    """Take them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", default="http://127.0.0.1:5006")
    parser.add_argument("--out", type=Path, default=Path("screenshots"))
    parser.add_argument("--chromium", default="/usr/bin/chromium")
    parser.add_argument("--views", nargs="*", default=[], help="names of views; all without")
    parser.add_argument("--readme", action="store_true", help="renew the two pictures of README")
    asked = parser.parse_args()
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=asked.chromium, args=["--no-sandbox", "--disable-gpu"])
        if asked.readme:
            for view in _README:
                _open(browser, f"{asked.url}/?view={view}", 1440, 900).screenshot(path=_IMAGES / f"{view}.png")
            return
        asked.out.mkdir(parents=True, exist_ok=True)
        first = _open(browser, asked.url, 1440, 900)
        views = asked.views or [name.lower() for name in first.get_by_role("tab").all_inner_texts()]
        first.context.close()
        for view in views:
            for theme in _THEMES:
                for width, height in _WIDTHS.items():
                    page = _open(browser, f"{asked.url}/?view={view}&theme={theme}", width, height)
                    _whole(page, asked.out / f"{view}-{theme}-{width}.png", width)
                    page.context.close()
        browser.close()


if __name__ == "__main__":
    main()
