"""An account of reading recordings: what was wrong with them, and what was kept."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from pipeline.errors import RecordingError

_SHOWN = 10
_FILES_NAMED = 4


class Damage:
    """Counts what cannot be used, and keeps the first few reasons. Memory does not grow with the damage."""

    def __init__(self) -> None:
        self.count = 0
        self.first: list[str] = []
        self.kept: Counter[Path] = Counter()
        """Lines of each file that can be used."""
        self._files: dict[Path, None] = {}

    def note(self, error: RecordingError) -> None:
        """Take note of something wrong: an ``on_bad`` of reading."""
        self.count += 1
        if error.path is not None:
            self._files.setdefault(error.path)
        if len(self.first) < _SHOWN:
            self.first.append(str(error))

    def __bool__(self) -> bool:
        return self.count > 0

    def told(self) -> str:
        """One line: how much is wrong, the first of it, and what was kept of the files concerned. Empty when nothing is wrong."""
        if not self:
            return ""
        named = list(self._files)[:_FILES_NAMED]
        kept = ", ".join(f"{_lines(self.kept[path])} of {path.name}" for path in named)
        more = f" and {len(self._files) - len(named)} files more" if len(self._files) > len(named) else ""
        problems = "" if self.count == 1 else f"{self.count} problems in {len(self._files)} file{'s'[: len(self._files) > 1]}, the first: "
        return f"{problems}{self.first[0]}; kept: {kept}{more}"


def _lines(count: int) -> str:
    return f"{count} line{'s'[: count != 1]}"
