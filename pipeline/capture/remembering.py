"""What the venue counts goes on when capture is restarted: attempts to connect, and how long it wants to be left alone."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import time
from pathlib import Path

from pipeline.venues.admission import Admission

_log = logging.getLogger(__name__)

_EVERY_S = 1.0


def recalled(path: Path) -> Admission:
    """An admission that knows what was remembered in ``path``; a file that is absent or damaged is as good as none."""
    admission = Admission()
    try:
        told = json.loads(path.read_text())
        passed_s = time.time() - float(told["at"])
        ages, held_s = [float(age) + passed_s for age in told["ages"]], float(told["held_s"]) - passed_s
    except FileNotFoundError:
        return admission
    except (OSError, ValueError, KeyError, TypeError, OverflowError) as error:
        _log.warning("attempts to connect are not remembered", extra={"file": str(path), "why": str(error)})
        return admission
    admission.recall(ages, held_s, time.monotonic())
    return admission


async def remember(admission: Admission, path: Path) -> None:
    """Write down what is new, at most once a second, until cancelled; a disk that takes nothing stops nothing."""
    known = 0
    while True:
        await asyncio.sleep(_EVERY_S)
        if admission.changes != known:
            known = admission.changes
            ages, held_s = admission.memory(time.monotonic())
            text = json.dumps({"at": time.time(), "ages": [round(age, 3) for age in ages], "held_s": round(held_s, 3)})
            with contextlib.suppress(OSError):
                await asyncio.to_thread(_write, path, text)


def _write(path: Path, text: str) -> None:
    beside = path.with_name(f".{path.name}")
    beside.write_text(text)
    beside.replace(path)
