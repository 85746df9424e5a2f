"""What runs here, in which version; what to say when something is reported."""

from __future__ import annotations

import platform
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from dashboards.hub import Moment
from dashboards.prefect import Prefect
from pipeline import __version__
from pipeline.errors import PrefectError
from pipeline.store import Warehouse

_PACKAGES = ("duckdb", "duckdb-extension-quack", "prefect", "panel", "panel-material-ui", "bokeh", "polars", "pyarrow", "numpy", "numba")


@dataclass(frozen=True, slots=True)
class Versions:
    """Names and versions, ours first."""

    rows: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class VersionsTopic:
    """Packages of this process, and the server that Prefect runs as, which may be another installation's."""

    prefect: Prefect
    every_s: float = 30.0
    from_warehouse: bool = False

    def read(self, warehouse: Warehouse | None, moment: Moment | None, before: Any) -> Any:  # noqa: ARG002
        """What runs now."""
        try:
            server = self.prefect.version()
        except PrefectError:
            server = "does not answer"
        now = Versions((*_own(), ("Prefect server", server)))
        return before if now == before else now


@cache
def _own() -> tuple[tuple[str, str], ...]:
    rows = [("Spreadwatch", __version__), ("Python", platform.python_version())]
    for name in _PACKAGES:
        try:
            rows.append((name, version(name)))
        except PackageNotFoundError:
            rows.append((name, "not installed"))
    return (*rows, ("system", f"{platform.system()} {platform.release()}, {platform.machine()}"))
