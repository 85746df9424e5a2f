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
    # A number has buttons for one more and one less that no screen reader can name; the arrow keys do the same.
    "& .MuiInputAdornment-root": {"display": "none"},
    "& .MuiInputBase-adornedStart > input.MuiInputBase-input": {"paddingLeft": "14px"},
    "& .MuiInputLabel-root": {"fontSize": "13px"},
    "& .MuiSelect-select": {"fontSize": "13px"},
    "& .MuiOutlinedInput-notchedOutline": {"borderColor": "var(--sw-line)"},
}

FIELD: dict[str, Any] = {"size": "small", "margin": 0, "sizing_mode": "stretch_width", "sx": SX}
"""What every field is made with."""

SEVERAL: dict[str, Any] = {
    "margin": 0,
    "sizing_mode": "stretch_width",
    "sx": {
        "& .MuiSelect-select": {"fontSize": "13px", "minHeight": "38px !important", "padding": "4px 12px", "boxSizing": "border-box",
                                "display": "flex", "alignItems": "center"},
        "& .MuiInputLabel-root": {"fontSize": "13px"},
        "& .MuiInputLabel-root:not(.MuiInputLabel-shrink)": {"transform": "translate(14px, 9px)"},
        "& .MuiOutlinedInput-notchedOutline": {"borderColor": "var(--sw-line)"},
        "& .MuiChip-root": {"height": "24px", "fontSize": "12px"},
    },
}  # fmt: skip
"""What a choice of several is made with: as high as a field, until there is more in it."""
