"""What holds for every flow, as Prefect runs it."""

from __future__ import annotations

import pytest

from pipeline.errors import UsageError, WarehouseUnavailable

pytestmark = pytest.mark.usefixtures("prefect")


@pytest.mark.parametrize(
    ("name", "parameters", "said"),
    [
        ("resample", {"timeframes": ["7x"]}, "timeframe '7x' is not understood"),
        ("fit_pairs", {"pairs": ["AAA/BBB"]}, "pair AAA/BBB is not in the universe"),
        ("fit_pairs", {"methods": ("magic",)}, "method 'magic' is not known; expected one of ols"),
        ("backfill", {"symbols": ["NOPE"]}, "symbol NOPE is not in the universe"),
        ("repair_gaps", {"symbols": ["NOPE"]}, "symbol NOPE is not in the universe"),
        ("check_quality", {"symbols": ["NOPE"]}, "symbol NOPE is not in the universe"),
        ("check_quality", {"timeframes": ["7m"]}, "timeframe '7m' "),
        ("backfill", {"timeframes": ["1s"]}, "has no candlesticks of 1s"),
        ("backfill", {"what": ["quotes"]}, r"flow backfill cannot use what.0: Input should be 'klines' or 'trades'; its deployment's page"),
        ("fit_pairs", {"lookback": 5}, "cannot use lookback: Input should be greater than or equal to 30"),
        ("liquidity", {"window": "wide"}, "cannot use window: Input should be a valid integer"),
        ("screen", {"lookback": 3, "directions": "up"}, "cannot use lookback: .*; directions: Input should be 'both' or 'forward'"),
        ("report", {"hours": 0}, "cannot use hours: Input should be greater than or equal to 1"),
        ("report", {"pairs": ["AAA/BBB"]}, "pair AAA/BBB is not in the universe"),
        ("archive", {"datasets": ["trades"]}, "dataset 'trades' is not known"),
        ("maintain", {"warn_below_gb": "little"}, "cannot use warn_below_gb: Input should be a valid number"),
    ],
)
def test_a_wrong_parameter_fails_at_once_with_one_line(make_profile, name, parameters, said):
    import importlib

    make_profile()
    flow = getattr(importlib.import_module(f"flows.{name}"), name)
    with pytest.raises(UsageError, match=said) as caught:
        flow(**parameters)
    assert "\n" not in str(caught.value)


def test_a_warehouse_that_is_away_is_tried_again_and_then_named(make_profile, monkeypatch):
    import flows.session
    from flows.resample import resample

    monkeypatch.setattr(flows.session, "_RETRY_DELAYS_S", [0.01, 0.01])
    attempts = []
    open_session = flows.session.session
    monkeypatch.setattr("flows.resample.session", lambda job: (attempts.append(job), open_session(job))[1])
    make_profile()
    with pytest.raises(WarehouseUnavailable, match="is not running; start it with"):
        resample()
    assert len(attempts) == 3
