"""Colours, type and the shared style sheets: one place, dark and light."""

from __future__ import annotations

from dataclasses import dataclass

from dashboards.assets import asset

FONT = "Roboto, 'Helvetica Neue', Arial, sans-serif"


@dataclass(frozen=True, slots=True)
class Palette:
    """The colours of one theme."""

    page: str
    panel: str
    raised: str
    grid: str
    line: str
    text: str
    strong: str
    faint: str
    accent: str
    second: str
    up: str
    down: str
    warn: str


DARK = Palette(
    page="#0B0E14",
    panel="#131722",
    raised="#1C2130",
    grid="#1E2330",
    line="#2A2E39",
    text="#B2B5BE",
    strong="#E6E8EE",
    faint="#8A8F9C",
    accent="#5B8FF9",
    second="#E0A458",
    up="#26A69A",
    down="#EF5350",
    warn="#F0B429",
)
LIGHT = Palette(
    page="#F4F5F8",
    panel="#FFFFFF",
    raised="#F0F2F6",
    grid="#EEF0F4",
    line="#DDE1E8",
    text="#3C4250",
    strong="#12151C",
    faint="#666D7B",
    accent="#2F66D8",
    second="#B26A00",
    up="#087F73",
    down="#D32F2F",
    warn="#9A6700",
)
BADGES = {"live": ("LIVE", "#16A34A", "#FFFFFF"), "simulated": ("DEMO", "#F0B429", "#1A1400"), "recorded": ("REPLAY", "#8B5CF6", "#FFFFFF")}
"""Of each kind of profile: its word, and the colours of its badge."""


def palette(*, dark: bool) -> Palette:
    """The colours of a theme."""
    return DARK if dark else LIGHT


def theme_config() -> dict[str, object]:
    """What Material UI is told."""
    return {"dark": _material(DARK, "dark"), "light": _material(LIGHT, "light")}


def _material(colours: Palette, mode: str) -> dict[str, object]:
    return {
        "palette": {
            "mode": mode,
            "primary": {"main": colours.accent, "contrastText": "#FFFFFF" if mode == "light" else "#0B0E14"},
            "success": {"main": colours.up},
            "error": {"main": colours.down},
            "warning": {"main": colours.warn},
            "background": {"default": colours.page, "paper": colours.panel},
            "text": {"primary": colours.strong, "secondary": colours.text},
            "divider": colours.line,
        },
        "typography": {"fontFamily": FONT, "fontSize": 13, "button": {"textTransform": "none", "fontWeight": 500}},
        "shape": {"borderRadius": 6},
    }


def page_style(badge_colour: str) -> dict[str, object]:
    """The page's own style: variables that every part below inherits, a flat header, the line in the profile's colour."""
    return {
        "&.mui-dark": _variables(DARK),
        "&.mui-light": _variables(LIGHT),
        "fontVariantNumeric": "tabular-nums",
        "& .header": {
            "backgroundColor": "var(--sw-panel) !important",
            "backgroundImage": "none",
            "color": "var(--sw-strong) !important",
            "boxShadow": "none",
            "borderTop": f"3px solid {badge_colour}",
            "borderBottom": "1px solid var(--sw-line)",
        },
        "& .header .title": {"color": "var(--sw-strong)", "fontSize": "17px", "fontWeight": 600, "letterSpacing": "-0.01em"},
        "& .MuiToolbar-root": {"minHeight": "48px !important", "paddingLeft": "16px", "paddingRight": "12px", "gap": "12px"},
        "& .header .MuiLinearProgress-root": {"display": "none"},
        "& .main": {"backgroundColor": "var(--sw-page)"},
        "& .main-content": {"overflowX": "hidden", "scrollbarWidth": "thin", "scrollbarColor": "var(--sw-line) transparent"},
        "& .header .MuiToolbar-root > .MuiBox-root": {"minWidth": 0},
        "@media (max-width: 640px)": {
            "& .header .title": {"display": "none"},
            "& .MuiToolbar-root": {"paddingLeft": "10px", "paddingRight": "4px", "gap": "2px"},
        },
    }


def _variables(colours: Palette) -> dict[str, str]:
    return {f"--sw-{name}": getattr(colours, name) for name in Palette.__slots__} | {"color": colours.text}


# Inside every shadow root of ours. The variables come from the page.
BASE_CSS = asset("base.css")

CARD = {"background": "var(--sw-panel)", "border": "1px solid var(--sw-line)", "border-radius": "8px", "overflow": "hidden"}
"""The frame of a part of a view."""
