"""The warehouse process: landing, live tables, alerts, delivery, and SQL over Quack."""

from __future__ import annotations

from pipeline.warehouse.engine import Engine
from pipeline.warehouse.process import run

__all__ = ["Engine", "run"]
