"""The command line's boundary: exit codes and one-line errors."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from pipeline.cli import main
from pipeline.settings import settings

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class Done:
    returncode: int
    stdout: str
    stderr: str


Spreadwatch = Callable[..., Done]


@pytest.fixture
def spreadwatch(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], tmp_path: Path) -> Iterator[Spreadwatch]:
    """The command in this process: starting Python for each line would take most of the time."""
    for variable in list(os.environ):
        if variable.startswith("SPREADWATCH_"):
            monkeypatch.delenv(variable)
    monkeypatch.setenv("SPREADWATCH_DATA_DIR", str(tmp_path))
    monkeypatch.chdir(ROOT)

    def run(*arguments: str, stdin: str = "", **chosen: str) -> Done:
        settings.cache_clear()
        with monkeypatch.context() as here:
            for name, value in chosen.items():
                here.setenv(f"SPREADWATCH_{name.upper()}", value)
            here.setattr(sys, "stdin", io.StringIO(stdin))
            with pytest.raises(SystemExit) as exit_:
                main(arguments)
        said = capfd.readouterr()
        return Done(int(exit_.value.code or 0), said.out, said.err)

    yield run
    settings.cache_clear()


def make_profile(data: Path, name: str, kind: str) -> Path:
    path = data / "profiles" / name
    (path / "run").mkdir(parents=True)
    (path / "profile.json").write_text(json.dumps({"name": name, "kind": kind, "trade_stream": "aggTrade", "created_at": "2026-01-01"}))
    return path


def test_help_lists_every_command_and_works_without_a_data_directory(spreadwatch: Spreadwatch, tmp_path: Path) -> None:
    done = spreadwatch("--help")
    assert done.returncode == 0
    for command in ("up", "capture", "warehouse", "simulate", "flows", "dashboard", "profile", "status", "doctor"):
        assert f"\n  {command} " in done.stdout
    assert spreadwatch().stdout == done.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["nope"], 2, "No such command 'nope'."),
        (["up", "--nope"], 2, "No such option '--nope'."),
        (["up", "--kind", "recorded"], 2, "give the recordings with --replay PATH"),
        (["up", "--kind", "live", "--replay", "README.md"], 2, "leave out --replay"),
        (["up", "--replay", "/does/not/exist"], 2, "does not exist"),
        (["status", "--profile", "absent"], 2, "profile 'absent' does not exist"),
        (["profile", "reset", "absent"], 2, "profile 'absent' does not exist"),
        (["up", "--replay", "README.md", "--speed", "0"], 2, "replay speed 0.0 cannot be used"),
        (["up", "--replay", "README.md"], 1, "there is no trade in"),
        (["up", "--kind", "live", "--ledger", "truth"], 2, "a live profile has none. Use --kind simulated"),
        (["up", "--kind", "recorded", "--replay", "README.md", "--fault", "drop:every_s=3"], 2, "a recorded profile has none"),
        (["up", "--kind", "simulated", "--fault", "drop"], 2, "fault 1 (drop), key `at_s` or `every_s` is missing"),
        (["up", "--kind", "simulated", "--ledger", "no/truth"], 2, "cannot be written: there is no directory"),
        (["simulate", "--faults", "README.md"], 2, "README.md is not TOML"),
        (["simulate", "--replay", "README.md", "--ledger", "truth"], 2, "a replay has no ledger"),
    ],
)
def test_an_error_is_one_line_and_the_code_says_whose_fault(
    spreadwatch: Spreadwatch, tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    done = spreadwatch(*arguments)
    assert done.returncode == code, done.stderr
    assert said in done.stderr
    assert done.stderr.startswith("spreadwatch: ")
    assert done.stderr.count("\n") == 1


def test_debug_adds_the_traceback_wherever_it_stands(spreadwatch: Spreadwatch, tmp_path: Path) -> None:
    for arguments in (["--debug", "status", "--profile", "absent"], ["status", "--profile", "absent", "--debug"]):
        done = spreadwatch(*arguments)
        assert done.returncode == 2
        assert "Traceback" in done.stderr
        assert done.stderr.splitlines()[-1].startswith("spreadwatch: profile 'absent'")


def test_a_wrong_setting_is_bad_usage(spreadwatch: Spreadwatch, tmp_path: Path) -> None:
    done = spreadwatch("profile", "list", dashbord_port="1")
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "did you mean SPREADWATCH_DASHBOARD_PORT?" in done.stderr


def test_profiles_are_listed_and_reset(spreadwatch: Spreadwatch, tmp_path: Path) -> None:
    assert "No profile under" in spreadwatch("profile", "list").stdout
    path = make_profile(tmp_path, "demo", "simulated")
    (path / "big").write_bytes(b"x" * 2_600_000)
    lines = spreadwatch("profile", "list").stdout.splitlines()
    assert lines[1].split() == ["demo", "simulated", "aggTrade", "3", "MB", "-"]
    refused = spreadwatch("profile", "reset", "demo", stdin="n\n")
    assert refused.returncode != 0
    assert path.exists()
    done = spreadwatch("profile", "reset", "demo", "--yes")
    assert done.returncode == 0, done.stderr
    assert not path.exists()


def test_a_running_profile_is_not_reset(spreadwatch: Spreadwatch, tmp_path: Path) -> None:
    from pipeline.supervisor import lock

    path = make_profile(tmp_path, "demo", "simulated")
    with lock.hold(path / "run"):
        done = spreadwatch("profile", "reset", "demo", "--yes")
        assert done.returncode == 1
        assert f"profile 'demo' is running (pid {os.getpid()}); stop it first" in done.stderr
    assert (path / "profile.json").exists()


def test_status_of_a_profile_that_does_not_run(spreadwatch: Spreadwatch, tmp_path: Path) -> None:
    make_profile(tmp_path, "demo", "simulated")
    done = spreadwatch("status", "--profile", "demo")
    assert done.returncode == 1
    assert "is not running; `spreadwatch up --profile demo` starts it" in done.stdout


def test_a_profile_keeps_its_kind(spreadwatch: Spreadwatch, tmp_path: Path) -> None:
    make_profile(tmp_path, "demo", "simulated")
    done = spreadwatch("up", "--kind", "live", "--profile", "demo")
    assert done.returncode == 2
    assert "profile 'demo' is simulated, not live" in done.stderr


@pytest.mark.parametrize(("kind", "url"), [("live", "ws://127.0.0.1:9443/market"), ("simulated", "wss://fstream.binance.com/market")])
def test_data_of_another_kind_is_refused(spreadwatch: Spreadwatch, tmp_path: Path, kind: str, url: str) -> None:
    make_profile(tmp_path, "mine", kind)
    for command in (["up", "--kind", kind], ["capture"]):
        done = spreadwatch(*command, "--profile", "mine", ws_market_url=url)
        assert done.returncode == 1
        assert f"profile 'mine' is {kind}, but ws_market_url is {url}" in done.stderr


def test_the_module_and_the_script_are_the_same(tmp_path: Path) -> None:
    environment = {**os.environ, "SPREADWATCH_DATA_DIR": str(tmp_path)}
    module = [sys.executable, "-m", "pipeline.cli"]
    script = [str(Path(sys.executable).with_name("spreadwatch"))]
    said = [
        subprocess.run([*command, "status"], env=environment, capture_output=True, text=True, check=False) for command in (module, script)
    ]
    assert [done.returncode for done in said] == [2, 2]
    assert said[0].stderr == said[1].stderr


def test_a_reader_that_goes_away_is_not_an_error(tmp_path: Path) -> None:
    for number in range(300):
        make_profile(tmp_path, f"p{number}", "live")
    line = f"{sys.executable} -m pipeline.cli profile list | head -n 1; echo ${{PIPESTATUS[0]}}"
    environment = {**os.environ, "SPREADWATCH_DATA_DIR": str(tmp_path)}
    done = subprocess.run(["bash", "-c", line], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "0"
    assert done.stderr == ""


def test_prefect_is_told_where_the_server_is_and_who_one_is(spreadwatch: Spreadwatch, tmp_path: Path) -> None:
    make_profile(tmp_path, "mine", "simulated")
    done = spreadwatch("prefect", "--profile", "mine", "--environment", prefect_port="4321", prefect_password="open sesame")
    known = dict(line.split("=", 1) for line in done.stdout.splitlines())
    assert known["PREFECT_API_URL"] == "http://127.0.0.1:4321/api"
    assert known["PREFECT_API_AUTH_STRING"] == "spreadwatch:open sesame"
    assert spreadwatch("prefect", "--profile", "nobody", "--environment").returncode == 2


def test_a_report_needs_a_profile_with_a_universe(spreadwatch: Spreadwatch, tmp_path: Path) -> None:
    make_profile(tmp_path, "mine", "simulated")
    done = spreadwatch("report", "--profile", "mine")
    assert (done.returncode, done.stdout) == (1, "")
    assert "has no universe yet" in done.stderr
