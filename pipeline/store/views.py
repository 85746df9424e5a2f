"""The views: what users read under the names of the design. They are code, so they are made anew at every start."""

from __future__ import annotations

import duckdb

from pipeline.store.bars import bars_query

_MODELS = """
SELECT f.model_id, f.y, f.x, f.timeframe, f.lookback, f.method, f.scale, f.fitted_at, a.active_from, f.window_start, f.window_end,
       f.n, f.alpha, f.beta, f.r_squared, f.adf_stat, f.adf_p, f.eg_stat, f.eg_p, f.half_life, f.hurst, f.spread_mean, f.spread_sd,
       f.notes
FROM fits f LEFT JOIN activations a USING (model_id)
"""


def create_views(connection: duckdb.DuckDBPyConnection) -> None:
    """Create or replace ``bars`` and ``models``."""
    connection.execute(f"CREATE OR REPLACE VIEW bars AS {bars_query()}")
    connection.execute(f"CREATE OR REPLACE VIEW models AS {_MODELS}")
