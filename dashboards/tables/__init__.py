"""What views look at: one topic a file, read by the hub once for everybody. Values are immutable, so that sessions may share them."""

from __future__ import annotations
