"""The universe as the warehouse has published it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dashboards.hub import Moment
from pipeline.profile import Profile, read_universe
from pipeline.store import Warehouse


@dataclass(frozen=True, slots=True)
class UniverseTopic:
    """Symbols, pairs and primary models. They change with a commit, and are told by the file that capture follows too."""

    profile: Profile
    every_s: float = 0.5
    from_warehouse: bool = True

    def read(self, warehouse: Warehouse | None, moment: Moment | None, before: Any) -> Any:  # noqa: ARG002
        """The universe now; None before there is one."""
        now = read_universe(self.profile)
        return before if now == before else now
