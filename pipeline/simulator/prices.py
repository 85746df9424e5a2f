"""The hidden mid price of every symbol on the second marks of an hour, from the factors and links of the universe."""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from pipeline.simulator import noise, process
from pipeline.simulator.noise import Floats
from pipeline.simulator.process import HOUR_S
from pipeline.simulator.universe import BY_SYMBOL, Driver, Link

_SHOCK_SHARE = 0.5
_SHOCKS_PER_HOUR = 12.0
_BREAK_HOURS = 8
_BREAK_CHANCE = 0.4
_BREAK_SDS = 14.0
_BREAK_RAMP = 0.2


class Prices:
    """Mid prices as a function of (seed, symbol, hour). Recent hours are kept, nothing else is remembered."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self.mid = lru_cache(maxsize=128)(self._mid)
        self.market_activity = lru_cache(maxsize=64)(self._market_activity)
        self._clock = lru_cache(maxsize=64)(self._market_clock)
        self._walk = lru_cache(maxsize=256)(self._factor_walk)

    def _mid(self, symbol: str, hour: int) -> Floats:
        """Mid price at the 3601 second marks from the start to the end of an hour, in USDT."""
        spec = BY_SYMBOL[symbol]
        made_of = spec.made_of
        if isinstance(made_of, Driver):
            log_price = made_of.market * self._walk("market", hour) + made_of.own * self._walk(symbol, hour)
            if made_of.sector:
                log_price = log_price + made_of.sector_loading * self._walk(made_of.sector, hour)
            mid: Floats = spec.level * np.exp(0.01 * log_price)
            return mid
        level_x = BY_SYMBOL[made_of.x].level
        alpha = spec.level - made_of.beta * level_x
        linked: Floats = alpha + made_of.beta * self.mid(made_of.x, hour) + self._spread(symbol, made_of, hour)
        return linked

    def _spread(self, symbol: str, link: Link, hour: int) -> Floats:
        """Spread of a linked symbol around its line, in USDT."""
        sd = link.spread_bp * 1e-4 * BY_SYMBOL[symbol].level
        spread_key = noise.key(self._seed, "spread", symbol)
        spread: Floats = sd * process.ou(spread_key, hour, link.half_life_s, shock_share=_SHOCK_SHARE, shocks_per_hour=_SHOCKS_PER_HOUR)
        if link.breaks:
            spread += sd * self._departure(symbol, hour)
        return spread

    def _departure(self, symbol: str, hour: int) -> Floats:
        """How far a breaking pair has left its line, in standard deviations of the spread.

        Some periods of eight hours are broken: within them the spread walks off to one side, stays, and returns.
        """
        period, inside = divmod(hour, _BREAK_HOURS)
        at = np.array([period], dtype=np.int64)
        break_key = noise.key(self._seed, "break", symbol)
        if noise.uniform(break_key, at)[0] >= _BREAK_CHANCE:
            return np.zeros(HOUR_S + 1)
        side = math.copysign(1.0, noise.uniform(break_key ^ 1, at)[0] - 0.5)
        passed = (inside + np.arange(HOUR_S + 1) / HOUR_S) / _BREAK_HOURS
        edge = np.clip(np.minimum(passed, 1 - passed) / _BREAK_RAMP, 0.0, 1.0)
        departure: Floats = side * _BREAK_SDS * edge * edge * (3 - 2 * edge)
        return departure

    def _market_activity(self, hour: int) -> Floats:
        """Activity that all symbols share, per second of an hour."""
        activity_key = noise.key(self._seed, "activity", "market")
        return process.activity(activity_key, hour, spread=0.4, half_life_s=420.0, bursts_per_hour=14.0, burst=3.0)

    def _market_clock(self, hour: int) -> Floats:
        """Share of the hour's variance that has passed at each second mark: volatility follows activity."""
        passed = np.zeros(HOUR_S + 1)
        np.cumsum(self.market_activity(hour), out=passed[1:])
        share: Floats = passed / passed[-1]
        return share

    def _factor_walk(self, name: str, hour: int) -> Floats:
        return process.walk(noise.key(self._seed, "walk", name), hour, self._clock(hour))
