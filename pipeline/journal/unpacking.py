"""The bytes of a plain, gzip or zstd file, told apart by its first bytes; of a damaged one everything before the damage."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol

import zstandard

DAMAGED = (EOFError, zlib.error, zstandard.ZstdError)
"""What ``unpacked`` raises for a compressed file that is cut or damaged."""

_CHUNK = 1 << 20
_PACKED_CHUNK = 1 << 14  # what a piece may swell to is held in memory
_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_GZIP_WINDOW = 31  # of zlib: with a gzip header


class _Member(Protocol):
    """One compressed stream; a file may have several."""

    @property
    def eof(self) -> bool:
        """Whether it has ended."""

    @property
    def unused_data(self) -> bytes:
        """What came after its end."""

    def decompress(self, data: bytes, /) -> bytes:
        """What ``data`` adds."""


class _Members:
    """Compressed streams one after the other."""

    def __init__(self, magic: bytes) -> None:
        self._gzip = magic.startswith(_GZIP)
        self._member = self._new()

    def _new(self) -> _Member:
        if self._gzip:
            return zlib.decompressobj(_GZIP_WINDOW)
        # Not the library's stream reader: that takes a file cut at a block boundary for a complete one.
        return zstandard.ZstdDecompressor().decompressobj()

    @property
    def complete(self) -> bool:
        return self._member.eof

    def feed(self, packed: bytes) -> bytes:
        found = []
        while packed:
            if self._member.eof:
                # gzip files may be padded with zero bytes
                packed = packed.lstrip(b"\0") if self._gzip else packed
                if not packed:
                    break
                self._member = self._new()
            found.append(self._member.decompress(packed))
            packed = self._member.unused_data if self._member.eof else b""
        return b"".join(found)


def unpacked(path: Path) -> Iterator[bytes]:
    """The bytes of a file, in pieces.

    Raises:
        OSError: when it cannot be read.
        EOFError: where a compressed file ends too early; as zlib.error and ZstdError, after all that can be had.
        zlib.error: where a gzip file is damaged.
        ZstdError: where a zstd file is damaged.
    """
    with path.open("rb") as file:
        magic = file.read(4)
        file.seek(0)
        if magic.startswith(_GZIP) or magic == _ZSTD:
            yield from _decompressed(file, magic)
        else:
            while chunk := file.read(_CHUNK):
                yield chunk


def _decompressed(file: BinaryIO, magic: bytes) -> Iterator[bytes]:
    members = _Members(magic)
    sound = 0
    while packed := file.read(_PACKED_CHUNK):
        try:
            found = members.feed(packed)
        except DAMAGED:
            yield from _before_damage(file, magic, sound)
            raise
        sound += len(packed)
        if found:
            yield found
    if not members.complete:
        msg = "the last compressed stream is not complete"
        raise EOFError(msg)


def _before_damage(file: BinaryIO, magic: bytes, sound: int) -> Iterator[bytes]:
    """What the damaged piece holds before the damage: the file once more up to there, then byte by byte."""
    file.seek(0)
    members = _Members(magic)
    while sound:
        packed = file.read(min(_PACKED_CHUNK, sound))
        members.feed(packed)
        sound -= len(packed)
    for at in file.read(_PACKED_CHUNK):
        try:
            found = members.feed(bytes([at]))
        except DAMAGED:
            return
        if found:
            yield found
