"""The supervisor's shadow: ends all children when the supervisor itself is killed.

    python -m pipeline.supervisor.guard MARK GRACE_S

Standard input is a pipe that only the supervisor holds. The kernel closes it when the supervisor dies, however it
dies; the word ``done`` before that says that there is nothing left to end.
"""

from __future__ import annotations

import logging
import signal
import sys

from pipeline.supervisor import family

logger = logging.getLogger(__name__)


def main(arguments: list[str]) -> int:
    """Wait for the end of the supervisor, then end what it left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    said = sys.stdin.buffer.read()
    if said.strip() == b"done":
        return 0
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    ended = family.end(arguments[0], grace_s=float(arguments[1]))
    logger.warning("the supervisor is gone; ended %s", ", ".join(ended) or "nothing")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
