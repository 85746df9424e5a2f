"""What the dashboard asks the flow `screen` for is what the flow takes."""

from __future__ import annotations

import pytest

from dashboards.views.screen_run import ScreenOrder
from pipeline.model.timeframe import Timeframe

MINUTE = Timeframe.parse("1m")


@pytest.mark.parametrize(
    "order",
    [
        ScreenOrder(MINUTE, 1_440, (), both_directions=True, least_volume=0.0),
        ScreenOrder(MINUTE, 60, ("ETHUSDT", "BTCUSDT"), both_directions=False, least_volume=1_500.5),
    ],
)
def test_an_order_is_what_the_flow_takes(order):
    from flows.screen import screen

    given = screen.validate_parameters(order.parameters())
    assert given["timeframe"] == "1m"
    assert given["lookback"] == order.lookback
    assert given["symbols"] == (list(order.symbols) or None)
    assert given["directions"] == ("both" if order.both_directions else "forward")
    assert given["least_volume"] == order.least_volume
