"""Compiled loops. Each module here imports numba, so functions import them when called, not before.

Compiled code is kept beside the modules (or in the user's cache directory where that cannot be written), once
for each installation; :func:`warm` fills that cache.
"""

from __future__ import annotations


def warm() -> None:
    """Compile every kernel, or load it from the cache: once at set-up, so that no first call waits."""
    import numpy as np  # noqa: PLC0415 - keeps the import of this package free

    from pipeline.analytics.kernels import ew, huber, kalman, line_errors, moments, online, theil_sen, unit_root, windows  # noqa: PLC0415

    ramp = np.linspace(0.0, 1.0, 64)
    wave = np.sin(9.0 * ramp) + ramp
    theil_sen.sample_slopes(wave, ramp, 8)
    theil_sen.count_slopes(wave, ramp, 0.0, 1.0)
    theil_sen.slopes_between(wave, ramp, 0.0, 1.0, 2016)
    moments.rolling_lines(wave, ramp, 8, False, True)
    windows.window_moments(wave[None, :], 8)
    windows.window_moments(np.vstack((wave, ramp)), 8)
    ew.recursion(wave, 0.1)
    huber.descend(wave, ramp, 1.0, 1.35, True)
    kalman.predicted_from(np.zeros(kalman.STATE), wave, ramp, 1e-4, 0.0, 1e-4, 1e-3)
    kalman.predicted(wave, ramp, 1e-4, 1e-4, 1e-3)
    online.moments(np.zeros(4), wave)
    online.line(np.zeros(9), wave, ramp)
    online.ew(np.zeros(5), wave, 0.1)
    online.kalman(np.zeros(kalman.STATE), wave, ramp, 1e-4, 1e-4, 1e-3)
    line_errors.rolling_ols_errors(wave, ramp, 8, ramp, True)
    unit_root.adf_statistic(wave, 1, 3, 1)
    legs = np.vstack((ramp, wave))
    unit_root.screen_column(legs, 0, np.array([1]), np.ones(2), 3, 1, 4)
