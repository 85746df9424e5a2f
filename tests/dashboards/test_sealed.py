"""Nothing is asked from outside: every view draws itself where there is no outside."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser

_HERE = Path(__file__).resolve().parent
_VIEWS = "test_views.py::test_each_view_draws_itself_and_fits[1440]"


def test_every_view_draws_itself_without_a_network():
    """Warehouse, dashboard and browser, all of them in a network of their own."""
    may = subprocess.run(["unshare", "--net", "true"], capture_output=True, text=True, check=False)
    if may.returncode:
        pytest.skip(f"a network of one's own takes root: {may.stderr.strip()}")
    python = sys.executable
    ran = subprocess.run(
        ["unshare", "--net", python, _HERE / "sealed.py", python, "-m", "pytest", "-q", "-p", "no:cacheprovider", _HERE / _VIEWS],
        capture_output=True, text=True, check=False, cwd=_HERE.parents[1],
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "1 passed" in ran.stdout, ran.stdout
