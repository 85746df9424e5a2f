"""A pair computed on demand: bars in, pure functions over them, a study out. Nothing is stored."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from time import perf_counter

import numpy as np

from dashboards.order import Order
from dashboards.study import Study, fit_study, model_study
from dashboards.tables.beside import load_beside
from dashboards.tables.legs import load_stretch
from dashboards.tables.models import stored_line
from pipeline.analytics import evidence, fit_kalman, fit_model, warm
from pipeline.errors import UsageError
from pipeline.model.universe import Method
from pipeline.store import Warehouse
from pipeline.store.models import load_model


def compute(warehouse: Warehouse, order: Order, *, now: datetime) -> Study:
    """Load the legs, fit the model on all of them (or take the stored one), and put the series under it.

    The bar that is still moving is left out: a figure that is computed twice should be the same twice.

    Raises:
        UsageError: when the order means nothing, is too much, or names a model that is not there.
        TooShort: when there are too few bars of both legs.
        AnalyticsError: when the model is not defined on them.
        StoreError: when the bars cannot be read.
    """
    begun = perf_counter()
    order.check()
    study = _under_stored(warehouse, order, now) if order.model_id else fit_study(order, load_stretch(warehouse, order), now=now)
    return replace(study, beside=load_beside(warehouse, order.pair, order.timeframe), took_s=perf_counter() - begun)


def _under_stored(warehouse: Warehouse, order: Order, now: datetime) -> Study:
    row = load_model(warehouse, order.model_id)
    if row is None or row["beta"] is None or (row["y"], row["x"], row["timeframe"]) != (order.pair.y, order.pair.x, order.timeframe.name):
        msg = f"there is no model {order.model_id} of {order.pair} on {order.timeframe}; open the pair anew, or compute one"
        raise UsageError(msg)
    line = stored_line(row)
    own = replace(order, method=line.method, scale=line.scale)
    legs = load_stretch(warehouse, own)
    tests = evidence(legs.stretch.y, legs.stretch.x, line.beta, scale=line.scale)
    return model_study(own, legs, line, tests, now=now)


def warm_up() -> None:
    """Load what a first Compute would wait for: compiled kernels, and the libraries behind the tests."""
    warm()
    steps = np.sin(np.arange(240.0) * 1.7) + np.cos(np.arange(240.0) * 0.31)
    x = 100 + np.cumsum(steps)
    y = x + np.roll(steps, 3)
    for method in Method:
        fit_model(y, x, method=method.value)
    evidence(y, x, 1.0)
    fit_kalman(y, x)
