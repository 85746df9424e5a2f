"""A profile as one file, and back: database, archive, journal, reports and universe, each with its checksum.

A profile that runs is backed up as it runs. The database's copy is one snapshot, made by the process that holds it, with the
files of the archive that belong to it; the journal is read afterwards, so it reaches at least as far as that snapshot, and what
lies behind is landed when the restored profile starts.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import tarfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import IO, Any

import zstandard

from pipeline import __version__
from pipeline.errors import DataError, ProfileError, UsageError
from pipeline.journal import FileJournal, Reader, durable, open_journal
from pipeline.journal.head import HEAD, encode_head
from pipeline.journal.moving import exported
from pipeline.journal.segment import list_segments
from pipeline.model.event import TradeKind
from pipeline.profile import Kind, Profile, check_name, create_profile, profiles_dir
from pipeline.settings import Settings
from pipeline.store import LocalWarehouse, Role, open_local, open_warehouse
from pipeline.store.archiving import carry_out
from pipeline.store.orders import Order, OrderKind, await_orders, order_reports, place_orders, require_success

_FORMAT = 1
_MANIFEST = "manifest.json"
_LEVEL = 3
_CHUNK = 1 << 20
_ATTEMPTS = 5
_DATABASE = "warehouse.duckdb"

Progress = Callable[[str, int], None]
"""Called with the name of each file and the bytes so far."""


def backup(profile: Profile, path: Path, *, settings: Settings, progress: Progress | None = None) -> int:
    """Write a profile into ``path`` (tar, compressed with zstd), whether it runs or not; returns the bytes of that file.

    A journal in Redis is in it as files, and so it is restored.

    Raises:
        UsageError: when ``path`` exists.
        StoreError: when the database could not be copied.
        WarehouseBusy: when somebody holds the database and does not serve it.
        JournalError: when a journal in Redis cannot be read.
    """
    if path.exists():
        msg = f"{path} exists already; name a file that does not, such as {profile.name}.tar.zst"
        raise UsageError(msg)
    partial = path.with_name(f".{path.name}.partial")
    try:
        with copied(profile) as copy, partial.open("wb") as raw:
            with zstandard.ZstdCompressor(level=_LEVEL, write_checksum=True).stream_writer(raw, closefd=False) as packed:
                _write(profile, settings, copy, packed, progress)
            raw.flush()
            os.fsync(raw.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)
    return path.stat().st_size


@contextmanager
def copied(profile: Profile, *, served: bool = True) -> Iterator[Path]:
    """A directory with a snapshot of the database and the archive's files that belong to it; it is removed afterwards.

    Args:
        profile: whose.
        served: also from a warehouse that runs; otherwise only from the file.

    Raises:
        StoreError: when the copy could not be made.
        WarehouseBusy: when somebody holds the file.
    """
    with open_warehouse(profile, Role.WRITER) if served else open_local(profile) as warehouse:
        ids = place_orders(warehouse, [Order(OrderKind.COPY)], run="cli:backup")
        if isinstance(warehouse, LocalWarehouse):
            carry_out(warehouse, profile)
            (report,) = require_success(order_reports(warehouse, ids))
        else:
            (report,) = await_orders(warehouse, ids)
    copy = Path(report.detail["path"])
    try:
        yield copy
    finally:
        shutil.rmtree(copy, ignore_errors=True)


def _write(profile: Profile, settings: Settings, copy: Path, packed: IO[bytes], progress: Progress | None) -> None:
    digests: dict[str, dict[str, Any]] = {}
    total = 0
    with tarfile.open(fileobj=packed, mode="w|") as tar:
        for name, size, source in _members(profile, settings, copy):
            with source:
                hashed = _Hashed(source, size)
                tar.addfile(_member(name, size), hashed)  # type: ignore[arg-type]
            digests[name] = {"bytes": size, "sha256": hashed.digest}
            total += size
            if progress is not None:
                progress(name, total)
        manifest = {
            "format": _FORMAT,
            "spreadwatch": __version__,
            "made_at": datetime.now(UTC).isoformat(timespec="seconds"),
            "profile": {
                "name": profile.name,
                "kind": profile.kind.value,
                "trade_stream": profile.trade_stream.value,
                "created_at": profile.created_at,
            },
            "files": digests,
        }
        content = json.dumps(manifest, indent=1).encode()
        tar.addfile(_member(_MANIFEST, len(content)), io.BytesIO(content))


def _members(profile: Profile, settings: Settings, copy: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    """Name, size and content of every file; the journal comes behind the snapshot that was made before."""
    yield _file(copy / _DATABASE, _DATABASE)
    for path in sorted((copy / "archive").rglob("*.parquet")):
        yield _file(path, f"archive/{path.relative_to(copy / 'archive').as_posix()}")
    for path in (profile.universe_file, *sorted(profile.reports.rglob("*"))):
        if path.is_file():
            yield _file(path, path.relative_to(profile.path).as_posix())
    journal = open_journal(profile, settings)
    for source in journal.sources():
        if isinstance(journal, FileJournal):
            yield from _journal(profile.journal / source)
        else:
            with journal.reader(source) as reader:
                yield from _fetched(reader, copy / "journal" / source)
    journal.close()


def _journal(directory: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    """A source up to where it is durable now. A segment may be sealed, or pruned when it has long been landed, meanwhile."""
    end = durable(directory)
    written: set[int] = set()
    for _ in range(_ATTEMPTS):
        gone = False
        for segment in list_segments(directory):
            if segment.seq > end.seq or segment.seq in written:
                continue
            try:
                name, size, content = _file(segment.path, f"journal/{directory.name}/{segment.path.name}")
            except FileNotFoundError:
                gone = True
                continue
            written.add(segment.seq)
            if segment.seq == end.seq and not segment.sealed:
                size = end.offset
            yield name, size, content
        if not gone:
            break
    head = encode_head(end)
    yield f"journal/{directory.name}/{HEAD}", len(head), io.BytesIO(head)


def _fetched(reader: Reader, directory: Path) -> Iterator[tuple[str, int, IO[bytes]]]:
    """A source that is kept elsewhere, as the files that it would be; one segment at a time is on the disk."""
    for path in exported(reader, directory):
        yield _file(path, f"journal/{directory.name}/{path.name}")
        path.unlink()


def _file(path: Path, name: str) -> tuple[str, int, IO[bytes]]:
    content = path.open("rb")
    return name, os.fstat(content.fileno()).st_size, content


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size = size
    member.mode = 0o600
    return member


class _Hashed:
    """The first ``size`` bytes of a file, and their SHA-256 once they have been read."""

    def __init__(self, source: IO[bytes], size: int) -> None:
        self._source = source
        self._left = size
        self._sha256 = hashlib.sha256()

    def read(self, size: int) -> bytes:
        """The next bytes."""
        piece = self._source.read(min(size, self._left))
        self._left -= len(piece)
        self._sha256.update(piece)
        return piece

    @property
    def digest(self) -> str:
        """In hexadecimal."""
        return self._sha256.hexdigest()


# ---------------------------------------------------------------------------------------------------- restore


def restore(data_dir: Path, path: Path, *, name: str | None = None, progress: Progress | None = None) -> Profile:
    """Make a profile out of a backup; under its own name, or another one.

    Raises:
        ProfileError: when the name cannot be used, or is taken.
        DataError: when the file is not a backup, or is damaged.
        StoreError: when its database cannot be opened by this version.
    """
    if name is not None:
        _require_free(data_dir, name)
    beside = profiles_dir(data_dir) / f".restoring-{os.getpid()}"
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    try:
        manifest = _unpacked(path, beside, progress)
        facts = manifest["profile"]
        chosen = name or str(facts["name"])
        target = _require_free(data_dir, chosen)
        kind, stream = Kind(facts["kind"]), TradeKind(facts["trade_stream"])
        made = Profile(chosen, kind, stream, str(facts["created_at"]), beside)
        open_local(made).close()  # that it can be, and that its views name the files where they are now
        beside.replace(target)
    finally:
        shutil.rmtree(beside, ignore_errors=True)
    # What makes it a profile comes last.
    created = create_profile(data_dir, chosen, kind, stream, created_at=made.created_at)
    open_local(created).close()
    return created


def _require_free(data_dir: Path, name: str) -> Path:
    check_name(name)
    target = profiles_dir(data_dir) / name
    if target.exists():
        msg = f"profile {name!r} exists already and is never overwritten; restore under another name with --as, or reset it first"
        raise ProfileError(msg)
    return target


def _unpacked(path: Path, target: Path, progress: Progress | None) -> dict[str, Any]:
    """Unpack into ``target`` and compare every file with the manifest, which is the last member."""
    found: dict[str, dict[str, Any]] = {}
    manifest: dict[str, Any] | None = None
    total = 0
    try:
        with (
            path.open("rb") as raw,
            zstandard.ZstdDecompressor().stream_reader(raw) as unpacked,
            tarfile.open(fileobj=unpacked, mode="r|") as tar,
        ):
            for member in tar:
                content = tar.extractfile(member)
                parts = PurePosixPath(member.name).parts
                if content is None or not member.isreg() or ".." in parts or member.name.startswith("/"):
                    msg = f"{path} is not a backup: it has an entry {member.name!r}; give a file that `spreadwatch profile backup` made"
                    raise DataError(msg)
                if member.name == _MANIFEST:
                    manifest = json.loads(content.read())
                    continue
                found[member.name] = _kept(content, target / member.name)
                total += member.size
                if progress is not None:
                    progress(member.name, total)
    except FileNotFoundError as error:
        msg = f"{path} does not exist; name a file that `spreadwatch profile backup` made"
        raise UsageError(msg) from error
    except (tarfile.TarError, zstandard.ZstdError, EOFError, ValueError) as error:
        msg = f"{path} is not a whole backup ({error}); take another one"
        raise DataError(msg) from error
    if manifest is None or manifest.get("format") != _FORMAT:
        msg = f"{path} has no manifest of format {_FORMAT}: it is cut, or was made by another version; take another backup"
        raise DataError(msg)
    wrong = sorted(key for key in {*found, *manifest["files"]} if found.get(key) != manifest["files"].get(key))
    if wrong:
        msg = f"{path} is damaged: {wrong[0]} is not what the manifest says ({len(wrong)} files); take another backup"
        raise DataError(msg)
    return manifest


def _kept(content: IO[bytes], path: Path) -> dict[str, Any]:
    path.parent.mkdir(parents=True, exist_ok=True)
    sha256 = hashlib.sha256()
    size = 0
    with path.open("wb") as file:
        while piece := content.read(_CHUNK):
            sha256.update(piece)
            size += len(piece)
            file.write(piece)
        file.flush()
        os.fsync(file.fileno())
    return {"bytes": size, "sha256": sha256.hexdigest()}
