"""One look at whether a process is healthy."""

from __future__ import annotations

import asyncio
import contextlib
import time

from pipeline.supervisor.spec import FileProbe, HttpProbe, Probe, TcpProbe

_TIMEOUT_S = 5.0


async def is_healthy(probe: Probe, *, started_at: float) -> bool:
    """Judge once, within five seconds; ``started_at`` is the process's start in seconds since the epoch."""
    try:
        async with asyncio.timeout(_TIMEOUT_S):
            match probe:
                case TcpProbe(host, port):
                    return await _accepts(host, port)
                case HttpProbe(host, port, path):
                    return await _answers(host, port, path)
                case FileProbe(path, max_age_s):
                    written = path.stat().st_mtime
                    # File systems keep times more coarsely than the clock does.
                    return written >= started_at - 0.1 and time.time() - written <= max_age_s
    except (OSError, TimeoutError):
        return False


async def _accepts(host: str, port: int) -> bool:
    _, writer = await asyncio.open_connection(host, port)
    await _close(writer)
    return True


async def _answers(host: str, port: int, path: str) -> bool:
    reader, writer = await asyncio.open_connection(host, port)
    try:
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        status = (await reader.readline()).split()
    finally:
        await _close(writer)
    return len(status) >= 2 and status[1].startswith(b"2")


async def _close(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with contextlib.suppress(OSError):
        await writer.wait_closed()
