"""Which style sheets and scripts a page needs is found once a process: Panel looks through all components and their files for each page."""

from __future__ import annotations

from functools import cache
from typing import Any

from panel.io.resources import Resources
from panel.io.state import state


@cache
def find_once() -> None:
    """Keep what was found for the first page; every component is imported by then."""
    look = Resources.extra_resources
    found: dict[tuple[str, str, str], list[Any]] = {}

    def extra_resources(self: Resources, resources: list[Any], resource_type: str) -> None:
        key = (resource_type, self.mode, state.rel_path or "")
        if key not in found:
            own: list[Any] = []
            look(self, own, resource_type)
            found[key] = own
        resources.extend(one for one in found[key] if one not in resources)

    Resources.extra_resources = extra_resources
