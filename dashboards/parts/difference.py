"""What changed between two pushes of keyed rows, so that only that is sent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Row = Mapping[str, Any]


def difference(before: Sequence[Row], after: Sequence[Row]) -> dict[str, dict[str, Any]] | None:
    """For each row that changed, by its ``id``, the members that did; None when rows came, went or were reordered, or lost a member.

    The cells of a table are its member ``cells``, of which only those that changed are told, by their place in it.
    """
    if [row["id"] for row in before] != [row["id"] for row in after]:
        return None
    changes: dict[str, dict[str, Any]] = {}
    for old, new in zip(before, after, strict=True):
        if old.keys() != new.keys():
            return None
        changed = {name: _cells(old[name], value) if name == "cells" else value for name, value in new.items() if old[name] != value}
        if changed:
            changes[new["id"]] = changed
    return changes


def _cells(old: Sequence[Any], new: Sequence[Any]) -> dict[str, Any]:
    return {str(at): cell for at, cell in enumerate(new) if at >= len(old) or old[at] != cell}
