"""Names of the flows, for what is said about them outside of them."""

from __future__ import annotations

FLOWS = ("archive", "backfill", "check_quality", "fit_pairs", "liquidity", "maintain", "repair_gaps", "report", "resample", "screen")
"""Every flow whose runs are counted."""
