"""Files of the venue's data archive over HTTP: verified by their checksum, read as a stream, never held in memory whole."""

from __future__ import annotations

import hashlib
import logging
import random
import tempfile
import time
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import IO, Self

import httpx

from pipeline.errors import DataError, MalformedMessage, VenueUnavailable
from pipeline.venues import Venue, venue
from pipeline.venues.binance_archive import ArchiveFile, parse_checksum

_log = logging.getLogger(__name__)

_ATTEMPTS = 3
_FIRST_PAUSE_S = 1.0
_CHUNK = 1 << 20
_BLOCK = 4 << 20
_NOT_FOUND = 404


class VenueArchive:
    """GETs to the archive of one venue.

    Args:
        base_url: such as ``https://data.binance.vision``.
        protocol: the venue, which says what an HTTP answer means.
        timeout_s: longest silence of the server.
    """

    def __init__(self, base_url: str, *, protocol: Venue | None = None, timeout_s: float = 60.0) -> None:
        self._base_url = base_url.rstrip("/")
        self._venue = protocol or venue()
        self._client = httpx.Client(timeout=timeout_s, headers={"User-Agent": "spreadwatch"}, follow_redirects=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    @contextmanager
    def opened(self, file: ArchiveFile) -> Iterator[IO[bytes] | None]:
        """The CSV inside a file, to be read from its beginning; None when the archive does not have the file.

        It is downloaded to an unnamed temporary file, which is gone when this ends, or the process does.

        Raises:
            VenueUnavailable: when the archive cannot be reached, or answers 5xx, three times.
            VenueError: when it refuses.
            DataError: when the file does not fit its checksum twice in a row, or is no zip of a CSV.
        """
        with tempfile.TemporaryFile(prefix="spreadwatch-") as spool:
            if not self._fetched(file, spool):
                yield None
                return
            try:
                with zipfile.ZipFile(spool) as archive:
                    names = [name for name in archive.namelist() if name.endswith(".csv")]
                    if len(names) != 1:
                        msg = f"{file.path} holds {len(names)} CSV files, expected one"
                        raise DataError(msg)
                    with archive.open(names[0]) as content:
                        yield content
            except (zipfile.BadZipFile, zlib.error, EOFError) as error:
                msg = f"{file.path} is not a zip that can be read ({error}); report it to the venue, or use `--source rest`"
                raise DataError(msg) from error

    def _fetched(self, file: ArchiveFile, spool: IO[bytes]) -> bool:
        """Download and verify; False when there is no such file."""
        for attempt in (1, 2):
            told = self._get(file.checksum_path)
            if told is None:
                return False
            spool.seek(0)
            spool.truncate()
            digest = self._downloaded(file.path, spool)
            if digest is None:
                return False
            try:
                expected = parse_checksum(told, file.name)
            except MalformedMessage as error:
                expected = str(error)
            if digest == expected:
                return True
            _log.warning("archive file does not fit its checksum", extra={"file": file.path, "attempt": attempt})
        msg = f"{file.path} does not fit its checksum: it has sha256 {digest}, expected {expected}; try again later, or use `--source rest`"
        raise DataError(msg)

    def _get(self, path: str) -> bytes | None:
        answer = self._patiently(path, None)
        return None if answer is None else answer[1]

    def _downloaded(self, path: str, spool: IO[bytes]) -> str | None:
        answer = self._patiently(path, spool)
        return None if answer is None else answer[0]

    def _patiently(self, path: str, spool: IO[bytes] | None) -> tuple[str, bytes] | None:
        """SHA-256 and body (empty when it went to ``spool``) of a file; None when there is none. A failing server is tried three times."""
        attempt = 1
        while True:
            try:
                return self._once(path, spool)
            except VenueUnavailable as error:
                if attempt >= _ATTEMPTS:
                    raise
                pause_s = _FIRST_PAUSE_S * 2.0 ** (attempt - 1) * random.uniform(0.5, 1.5)  # noqa: S311 -- jitter
                _log.warning("archive does not answer", extra={"path": path, "retry_in_s": round(pause_s, 1), "why": str(error)})
                time.sleep(pause_s)
                attempt += 1

    def _once(self, path: str, spool: IO[bytes] | None) -> tuple[str, bytes] | None:
        digest = hashlib.sha256()
        body = b""
        if spool is not None:
            spool.seek(0)
            spool.truncate()
        try:
            with self._client.stream("GET", f"{self._base_url}/{path}") as answer:
                if answer.status_code == _NOT_FOUND:
                    return None
                problem = self._venue.classify_status(answer.status_code, answer.headers, b"")
                if problem is not None:
                    raise problem
                for chunk in answer.iter_raw(_CHUNK):
                    digest.update(chunk)
                    if spool is None:
                        body += chunk
                    else:
                        spool.write(chunk)
        except (httpx.TransportError, httpx.InvalidURL) as error:
            why = str(error) or type(error).__name__
            msg = f"the archive at {self._base_url} cannot be reached ({why}); check the network and the setting archive_url"
            raise VenueUnavailable(msg) from error
        return digest.hexdigest(), body


def line_blocks(content: IO[bytes], size: int = _BLOCK) -> Iterator[bytes]:
    """The content in blocks of about ``size`` bytes, each of whole lines; a last line without a line end counts as a line."""
    rest = b""
    while chunk := content.read(size):
        block = rest + chunk
        end = block.rfind(b"\n") + 1
        rest = block[end:]
        if end:
            yield block[:end]
    if rest:
        yield rest
