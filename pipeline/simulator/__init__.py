"""The venue on localhost: Binance USD-M's wire protocol over a seeded synthetic market, or over recordings."""

from pipeline.simulator.config import SimulatorConfig
from pipeline.simulator.server import serve
from pipeline.simulator.universe import Planted, Relation, truth

__all__ = ["Planted", "Relation", "SimulatorConfig", "serve", "truth"]
