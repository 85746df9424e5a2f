"""Lines appended, committed and read through both journals, beside the barest ways to keep them: write and fsync, XADD of each message."""

from __future__ import annotations

import argparse
import os
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from timing import Table, machine_line, rate, stopwatch, timed
from wire import agg_trade

from pipeline.journal import START, FileJournal, Journal

OPTIONS = {"fsync_s": 0.25, "segment_bytes": 64 << 20, "segment_seconds": 3_600.0}
SOURCE = "capture"
START_MS = 1_772_409_600_000


def main(argv: Sequence[str] | None = None) -> None:
    """Print every comparison."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=500_000, help="aggTrade lines")
    parser.add_argument("--group", type=int, default=2_500, help="lines of one commit: 250 ms at 10,000 a second")
    parser.add_argument("--runs", type=int, default=3, help="runs that a median is taken of")
    chosen = parser.parse_args(argv)
    messages = [agg_trade(number, START_MS + number // 10).encode() for number in range(chosen.lines)]
    lines = [b"%d %b\n" % (START_MS * 1_000_000 + number, message) for number, message in enumerate(messages)]
    size = sum(map(len, lines))
    title = f"Journal: {chosen.lines:,} aggTrade lines ({size / 1e6:.0f} MB), durable in groups of {chosen.group:,}"
    table = Table(title, machine_line("zstandard", "redis"))
    table.begin()
    bench = Bench(table, messages, lines, chosen.group, chosen.runs)
    with tempfile.TemporaryDirectory(prefix="bench-journal-") as name:
        bench.files(Path(name))
        if shutil.which("redis-server") is None:
            table.note("redis-server is absent: the journal in Redis was not measured")
            return
        with redis_server(Path(name)) as port:
            bench.redis(port)


class Bench:
    """The same lines through one journal after the other."""

    def __init__(self, table: Table, messages: list[bytes], lines: list[bytes], group: int, runs: int) -> None:
        self.table, self.messages, self.lines, self.group, self.runs = table, messages, lines, group, runs
        self.show = rate(len(lines), "line")
        self.size = sum(map(len, lines))

    def files(self, directory: Path) -> None:
        """Segments on a disk beside one file."""
        places = iter(range(1_000))
        write_s = self.median(lambda: self.write(FileJournal(directory / f"f{next(places)}", **OPTIONS)))
        peer_s = self.median(lambda: self.plain(directory / "plain"))
        self.table.row("files: append and commit", write_s, "write and fsync of the joined group", peer_s, show=self.show)
        journal = FileJournal(directory / "read", **OPTIONS)
        self.write(journal)
        journal.writer(SOURCE).close()  # seals what is left
        read_s = self.median(lambda: self.read(journal))
        peer_s = self.median(lambda: (directory / "plain").read_bytes().count(b"\n"))
        self.table.row("files: read, sealed, 50,000 lines a block", read_s, "read of the plain file", peer_s, show=self.show)
        self.table.note(f"sealed: {self.size / journal.stored_bytes(SOURCE):.1f} times smaller than the lines")

    def redis(self, port: int) -> None:
        """Streams of blocks beside a stream of messages, on a server that fsyncs before it answers."""
        import redis

        from pipeline.journal.redis_streams import RedisJournal, Server

        server = Server(f"redis://127.0.0.1:{port}/0")
        places = iter(range(1_000))

        def fresh() -> RedisJournal:
            prefix = f"spreadwatch:{{bench-{next(places)}}}"
            server.begin_journal(prefix, "bench")
            return RedisJournal(server, prefix, **OPTIONS)

        def ours() -> float:
            journal = fresh()
            taken, _ = stopwatch(lambda: self.write(journal))
            journal.drop()
            return taken

        client: Any = redis.Redis(port=port)
        write_s = self.middle(ours)
        peer_s = self.middle(lambda: self.xadd(client))
        self.table.row("Redis: append and commit", write_s, "pipelined XADD of each message, same groups", peer_s, show=self.show)
        read_peer_s = self.median(lambda: self.xrange(client))
        peer_bytes = int(client.memory_usage("plain"))
        client.delete("plain")
        journal = fresh()
        self.write(journal)
        read_s = self.median(lambda: self.read(journal))
        self.table.row("Redis: read, 50,000 lines a block", read_s, "XRANGE of 5,000 messages at a time", read_peer_s, show=self.show)
        ours_bytes = journal.stored_bytes(SOURCE)
        self.table.note(f"memory of Redis: {ours_bytes / 1e6:.0f} MB, {peer_bytes / ours_bytes:.1f} times less than a message an entry")

    def write(self, journal: Journal) -> None:
        """As capture does: append, and commit now and then; sealing is waited for."""
        with journal.writer(SOURCE) as writer:
            for number, message in enumerate(self.messages):
                writer.append(START_MS * 1_000_000 + number, message)
                if number % self.group == self.group - 1:
                    writer.commit()

    def plain(self, path: Path) -> None:
        """What a group costs the disk."""
        with path.open("wb", buffering=0) as file:
            for start in range(0, len(self.lines), self.group):
                file.write(b"".join(self.lines[start : start + self.group]))
                os.fsync(file.fileno())

    def read(self, journal: Journal) -> None:
        """As landing does."""
        position, found = START, 0
        with journal.reader(SOURCE) as reader:
            while True:
                block, position = reader.read(position, 50_000)
                if not block:
                    break
                found += block.count(b"\n")
        assert found == len(self.lines), found

    def xadd(self, client: Any) -> float:
        """One entry a message."""
        client.delete("plain")
        began = time.perf_counter()
        for start in range(0, len(self.lines), self.group):
            together = client.pipeline(transaction=False)
            for line in self.lines[start : start + self.group]:
                together.xadd("plain", {"l": line})
            together.execute()
        return time.perf_counter() - began

    def xrange(self, client: Any) -> None:
        """All of them, in order."""
        last, found = "-", 0
        while entries := client.xrange("plain", last, "+", count=5_000):
            found += len(entries)
            last = "(" + entries[-1][0].decode()
        assert found == len(self.lines), found

    def median(self, work: Callable[[], object]) -> float:
        """Seconds of a call."""
        return timed(work, runs=self.runs).median_s

    def middle(self, work: Callable[[], float]) -> float:
        """Median of what ``work`` measures of itself."""
        return sorted(work() for _ in range(self.runs))[self.runs // 2]


@contextmanager
def redis_server(directory: Path) -> Iterator[int]:
    """A server of our own with an append-only file that is fsynced before each answer."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
    command = ["redis-server", "--port", str(port), "--dir", str(directory), "--save", "", "--appendonly", "yes", "--appendfsync", "always"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        try:
            while True:
                try:
                    socket.create_connection(("127.0.0.1", port), timeout=1).close()
                    break
                except OSError:
                    if process.poll() is not None:
                        raise
                    time.sleep(0.02)
            yield port
        finally:
            process.terminate()


if __name__ == "__main__":
    main()
