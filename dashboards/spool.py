"""Files that users bring, on their way from the browser to the run that takes them: under the profile, each in a directory of its own."""

from __future__ import annotations

import re
import secrets
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import UsageError

_KEPT_S = 24 * 3_600.0
_ID = re.compile(r"[0-9a-f]{24}")
_ODD = re.compile(r"[^A-Za-z0-9._-]+")
_LONGEST_NAME = 80
_KNOWN = (".csv", ".txt", ".tsv", ".gz", ".zst", ".zip")


@dataclass(frozen=True, slots=True)
class Spool:
    """The directory of them."""

    directory: Path

    def open(self, name: str) -> tuple[str, Path]:
        """A place for a file called ``name``: its id, and the path to write to, beside which nothing else lies.

        Raises:
            UsageError: when the name is not that of a CSV file.
        """
        plain = _plain(name)
        self.sweep()
        upload_id = secrets.token_hex(12)
        place = self.directory / upload_id
        place.mkdir(parents=True, mode=0o700)
        return upload_id, place / plain

    def find(self, upload_id: str) -> Path:
        """The file of an id.

        Raises:
            UsageError: when it is not there (any more).
        """
        files = [path for path in self._place(upload_id).glob("*") if path.is_file()]
        if len(files) != 1:
            msg = "the file is no longer here; choose it again"
            raise UsageError(msg)
        return files[0]

    def remove(self, upload_id: str) -> None:
        """Forget a file; one that is gone already is no error."""
        shutil.rmtree(self._place(upload_id), ignore_errors=True)

    def sweep(self, *, older_than_s: float = _KEPT_S) -> None:
        """Forget files that nobody has taken for a day."""
        if not self.directory.is_dir():
            return
        before = time.time() - older_than_s
        for place in self.directory.iterdir():
            if _ID.fullmatch(place.name) and place.stat().st_mtime < before:
                shutil.rmtree(place, ignore_errors=True)

    def _place(self, upload_id: str) -> Path:
        if _ID.fullmatch(upload_id) is None:
            msg = f"{upload_id!r} is no file that was brought here"
            raise UsageError(msg)
        return self.directory / upload_id


def _plain(name: str) -> str:
    """The name without what has no place in one: directories, blanks, signs."""
    plain = _ODD.sub("_", name.replace("\\", "/").rpartition("/")[2]).lstrip(".")[-_LONGEST_NAME:]
    if not plain.lower().endswith(_KNOWN):
        msg = f"{name[:_LONGEST_NAME]!r} is no file of a known kind; expected CSV text as .csv, .txt or .tsv, or that as .gz, .zst or .zip"
        raise UsageError(msg)
    return plain
