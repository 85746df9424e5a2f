"""The project's own rules, checked as code: layers, purity, and files that promise the same thing."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from pipeline import __version__, errors

ROOT = Path(__file__).parents[1]
PURE = ("venues", "bars", "analytics", "alerts", "quality", "model")
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def sources(*folders: str) -> Iterator[tuple[Path, ast.Module]]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path.relative_to(ROOT), ast.parse(path.read_text())


def imported(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def test_import_contracts_hold() -> None:
    done = subprocess.run(
        [Path(sys.executable).parent / "lint-imports", "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr


@pytest.mark.parametrize(
    ("library", "importers"), [("duckdb", {"pipeline.store"}), ("websockets", {"pipeline.capture", "pipeline.simulator"})]
)
def test_contracts_about_one_library_name_every_package(library: str, importers: set[str]) -> None:
    parts = {
        f"pipeline.{path.stem}" for path in (ROOT / "pipeline").iterdir() if path.name not in {"__init__.py", "__pycache__", "py.typed"}
    }
    contracts = PROJECT["tool"]["importlinter"]["contracts"]
    (contract,) = [one for one in contracts if one.get("forbidden_modules", [""])[0] == library]
    assert set(contract["source_modules"]) == parts - importers | {"flows", "dashboards"}


def test_pure_packages_never_read_a_clock() -> None:
    clock = {"now", "utcnow", "today", "time_ns", "perf_counter", "monotonic"}
    for path, tree in sources(*(f"pipeline/{name}" for name in PURE)):
        for node in ast.walk(tree):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in clock:
                owner = node.func.value
                assert not (isinstance(owner, ast.Name) and owner.id in {"datetime", "date", "time"}), f"{path}:{node.lineno}"


def test_importing_pure_packages_is_cheap() -> None:
    """They bring no server, no database and no compiler along: every process imports them."""
    heavy = ["duckdb", "websockets", "prefect", "panel", "numba", "scipy", "statsmodels", "sklearn", "pandas"]
    code = f"import sys, {', '.join(f'pipeline.{name}' for name in PURE)}; print(*[name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_helping_is_quick_because_commands_are_lazy() -> None:
    heavy = ["duckdb", "polars", "numpy", "prefect", "panel", "bokeh", "numba", "websockets"]
    code = (
        "import sys\nfrom pipeline.cli import main\n"
        "try:\n    main(['--help'])\nexcept SystemExit:\n    pass\n"
        f"print('HEAVY', *[name for name in {heavy} if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "HEAVY"


def test_only_settings_reads_the_environment_for_settings() -> None:
    for path, tree in sources("pipeline", "flows", "dashboards"):
        if path == Path("pipeline/settings.py"):
            continue
        for node in ast.walk(tree):
            text = ast.unparse(node) if isinstance(node, ast.Subscript | ast.Call) else ""
            assert not re.match(r"os\.(environ\.get\(|environ\[|getenv\()'SPREADWATCH", text), f"{path}:{getattr(node, 'lineno', 0)}"


def test_versions_agree() -> None:
    assert PROJECT["project"]["version"] == __version__


def test_every_error_is_in_the_drawing_and_under_its_base() -> None:
    drawn = re.findall(r"^ {4}[│├└─ ]*(\w+)", errors.__doc__ or "", re.MULTILINE)
    defined = [name for name, value in vars(errors).items() if isinstance(value, type) and issubclass(value, errors.SpreadwatchError)]
    assert sorted(drawn) == sorted(defined)


@pytest.mark.parametrize("lock", ["requirements.lock", "requirements-dev.lock"])
def test_every_dependency_is_locked_with_hashes(lock: str) -> None:
    text = (ROOT / lock).read_text()
    locked = {name.lower().replace("_", "-") for name in re.findall(r"^([A-Za-z0-9_.-]+)==", text, re.MULTILINE)}
    wanted = PROJECT["project"]["dependencies"] + (PROJECT["dependency-groups"]["dev"] if "dev" in lock else [])
    for requirement in wanted:
        assert re.split(r"[^A-Za-z0-9_.-]", requirement)[0].lower().replace("_", "-") in locked, requirement
    assert all("--hash=sha256:" in block for block in re.split(r"^(?=[a-z])", text, flags=re.MULTILINE)[1:])


def test_the_development_lock_contains_the_runtime_lock() -> None:
    def pins(name: str) -> set[str]:
        return set(re.findall(r"^[a-z0-9][^ ]*==[^ ]+", (ROOT / name).read_text(), re.MULTILINE))

    assert pins("requirements.lock") <= pins("requirements-dev.lock")


def test_every_direct_dependency_says_why() -> None:
    block = (ROOT / "pyproject.toml").read_text().split("dependencies = [", 1)[1].split("\n]", 1)[0]
    for line in block.splitlines():
        if line.strip().startswith('"'):
            assert re.search(r",\s+# \w", line), line


def test_make_help_lists_the_targets() -> None:
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, check=True)
    named = {line.split()[0] for line in done.stdout.splitlines()}
    assert {"setup", "demo", "up", "test", "lint", "bench", "help"} <= named


def test_an_old_python_is_refused_in_one_line(tmp_path: Path) -> None:
    old = tmp_path / "python3.8"
    old.write_text('#!/bin/sh\n[ "$1" = -V ] && echo "Python 3.8.18" && exit 0\nexit 1\n')
    old.chmod(0o755)
    copy = tmp_path / "checkout"
    copy.mkdir()
    for name in ("Makefile", "requirements.lock", "requirements-dev.lock", "pyproject.toml"):
        (copy / name).write_bytes((ROOT / name).read_bytes())
    (copy / "deployments").mkdir()
    (copy / "deployments" / "install.sh").write_text("exit 1\n")
    done = subprocess.run(["make", "setup", f"PYTHON={old}"], cwd=copy, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "Python 3.8.18; Spreadwatch needs Python 3.11 or newer: make setup PYTHON=" in done.stderr
