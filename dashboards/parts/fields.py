"""Form fields of one size."""

from __future__ import annotations

from typing import Any

SX = {
    "&.MuiInputBase-root, & .MuiInputBase-root": {
        "height": "38px",
        "fontSize": "13px",
        "fontVariantNumeric": "tabular-nums",
        "color": "var(--sw-strong)",
    },
    "& .MuiInputLabel-root": {"fontSize": "13px"},
    "& .MuiSelect-select": {"fontSize": "13px"},
    "& .MuiOutlinedInput-notchedOutline": {"borderColor": "var(--sw-line)"},
}

FIELD: dict[str, Any] = {"size": "small", "margin": 0, "sizing_mode": "stretch_width", "sx": SX}
"""What every field is made with."""
