"""Run a command where there is no network but this machine's own: ``unshare --net python sealed.py COMMAND...``."""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import sys

_SIOCSIFFLAGS, _IFF_UP = 0x8914, 1
_ELSEWHERE = ("192.0.2.1", 443)  # RFC 5737: nobody's

if __name__ == "__main__":
    with socket.socket() as one:
        fcntl.ioctl(one, _SIOCSIFFLAGS, struct.pack("16sh14x", b"lo", _IFF_UP))
        try:
            one.connect(_ELSEWHERE)
        except OSError as error:
            if error.errno != 101:  # ENETUNREACH
                raise
        else:
            sys.exit("the outside can be reached")
    os.execvp(sys.argv[1], sys.argv[1:])
