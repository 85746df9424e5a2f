"""The package as a whole: cheap to import, complete, warm on request."""

from __future__ import annotations

import subprocess
import sys

import pipeline.analytics


def test_import_loads_nothing_heavy():
    code = (
        "import sys, pipeline.analytics; "
        "heavy = {'numba', 'scipy', 'statsmodels', 'sklearn', 'pandas', 'polars', 'duckdb'} & set(sys.modules); "
        "sys.exit(f'imported {heavy}' if heavy else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_every_exported_name_exists_once():
    names = pipeline.analytics.__all__
    assert len(names) == len(set(names))
    assert all(getattr(pipeline.analytics, name).__doc__ for name in names)


def test_warm_compiles_every_kernel():
    pipeline.analytics.warm()
    from pipeline.analytics.kernels import ew, huber, kalman, line_errors, moments, online, theil_sen, unit_root, windows

    kernels = (
        ew.recursion,
        kalman.predicted,
        moments.rolling_lines,
        windows.window_moments,
        theil_sen.sample_slopes,
        theil_sen.count_slopes,
    )
    kernels += (huber.descend, theil_sen.slopes_between, unit_root.adf_statistic, unit_root.screen_column)
    kernels += (online.moments, online.line, online.ew, online.kalman, line_errors.rolling_ols_errors)
    assert all(kernel.signatures for kernel in kernels)
