"""The serving process runs a write only when it knows the text: it has to have imported every module that has one."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

STORE = Path(__file__).parents[2] / "pipeline" / "store"


def declared() -> set[str]:
    """Names of the statements in the source."""
    found = set()
    for path in STORE.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "statement":
                found.add(ast.literal_eval(node.args[0]))
    return found


def test_the_warehouse_process_knows_every_write_statement() -> None:
    code = "import pipeline.warehouse.process; from pipeline.store.statements import _REGISTRY; print(*_REGISTRY)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert set(done.stdout.split()) == declared()
    assert {"resample", "save_klines", "save_quality_checks"} <= declared()
