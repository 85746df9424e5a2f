"""Colours, type and the shared style sheets: one place, dark and light, each also for the colour-blind."""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

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
    faint="#9196A3",
    accent="#6496FA",
    second="#E0A458",
    up="#26A69A",
    down="#F2605D",
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
    faint="#5B6270",
    accent="#285AC4",
    second="#8A5200",
    up="#06726A",
    down="#C02626",
    warn="#805600",
)
BADGES = {"live": ("LIVE", "#15803D", "#FFFFFF"), "simulated": ("DEMO", "#F0B429", "#1A1400"), "recorded": ("REPLAY", "#7C3AED", "#FFFFFF")}
"""Of each kind of profile: its word, and the colours of its badge."""


class Signs(StrEnum):
    """The pair of colours that up and down have; a sign, a shape or a word always says the same."""

    STANDARD = "standard"
    COLOUR_BLIND = "colour-blind"


_SAFE = {
    DARK: replace(DARK, up="#56B4E9", down="#F28C38", warn="#E6D54A"),
    LIGHT: replace(LIGHT, up="#00649C", down="#A34500", warn="#665700"),
}
"""Blue and vermilion of Okabe and Ito (#0072B2, #D55E00), lightened and darkened until text in them can be read on each ground."""


def palette(*, dark: bool, signs: Signs = Signs.STANDARD) -> Palette:
    """The colours of a theme."""
    theme = DARK if dark else LIGHT
    return _SAFE[theme] if signs is Signs.COLOUR_BLIND else theme


def theme_config(signs: Signs = Signs.STANDARD) -> dict[str, object]:
    """What Material UI is told."""
    return {
        "dark": _material(palette(dark=True, signs=signs), "dark"),
        "light": _material(palette(dark=False, signs=signs), "light"),
    }


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


def page_style(badge_colour: str, signs: Signs = Signs.STANDARD) -> dict[str, object]:
    """The page's own style: variables that every part below inherits, a flat header, the line in the profile's colour."""
    return {
        "&.mui-dark": _variables(palette(dark=True, signs=signs)),
        "&.mui-light": _variables(palette(dark=False, signs=signs)),
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
            # The link home keeps its name for a screen reader.
            "& .header .title": {"position": "absolute", "width": "1px", "height": "1px", "overflow": "hidden", "clipPath": "inset(50%)"},
            "& .MuiToolbar-root": {"paddingLeft": "10px", "paddingRight": "4px", "gap": "2px"},
        },
    }


def _variables(colours: Palette) -> dict[str, str]:
    return {f"--sw-{name}": getattr(colours, name) for name in Palette.__slots__} | {"color": colours.text}


# Inside every shadow root of ours. The variables come from the page.
BASE_CSS = asset("base.css")

CARD = {"background": "var(--sw-panel)", "border": "1px solid var(--sw-line)", "border-radius": "8px", "overflow": "hidden"}
"""The frame of a part of a view."""
