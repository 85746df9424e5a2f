"""What makes up the platform, by kind of profile."""

from __future__ import annotations

from pathlib import Path

import pytest

from pipeline.model.event import TradeKind
from pipeline.profile import Kind, Profile, create_profile
from pipeline.settings import Settings
from pipeline.supervisor.plan import Source, base_url, make_plan


def profile(tmp_path: Path, kind: Kind) -> Profile:
    return create_profile(tmp_path, "mine", kind, TradeKind.AGGREGATE, created_at="2026-01-01")


def test_a_live_platform_has_no_simulator_and_keeps_the_venue_of_the_settings(tmp_path: Path) -> None:
    plan = make_plan(profile(tmp_path, Kind.LIVE), Settings(data_dir=tmp_path))
    assert [spec.name for spec in plan.processes] == ["capture", "warehouse", "prefect", "flows", "dashboard"]
    assert [need.setting for need in plan.ports] == ["dashboard_port", "prefect_port", "warehouse_port", "metrics_port"]
    assert not any("URL" in name and name.startswith("SPREADWATCH") for spec in plan.processes for name in spec.env)


@pytest.mark.parametrize("kind", [Kind.SIMULATED, Kind.RECORDED])
def test_other_platforms_talk_to_the_simulator_only(tmp_path: Path, kind: Kind) -> None:
    source = Source(replay=(tmp_path / "a.gz", tmp_path / "b.gz"), speed=20.0, overrides={"symbols": "A,B"})
    plan = make_plan(profile(tmp_path, kind), Settings(data_dir=tmp_path, simulator_port=1234), source)
    first, second = plan.processes[:2]
    assert (first.name, second.name, second.after) == ("simulate", "capture", ("simulate",))
    assert first.command[-6:] == ("--replay", str(tmp_path / "a.gz"), "--replay", str(tmp_path / "b.gz"), "--speed", "20")
    for spec in plan.processes:
        assert spec.env["SPREADWATCH_WS_MARKET_URL"] == "ws://127.0.0.1:1234/market"
        assert spec.env["SPREADWATCH_WS_PUBLIC_URL"] == "ws://127.0.0.1:1234/public"
        assert spec.env["SPREADWATCH_REST_URL"] == "http://127.0.0.1:1234"
        assert spec.env["SPREADWATCH_SYMBOLS"] == "A,B"
        assert spec.env["SPREADWATCH_PROFILE"] == "mine"
    assert plan.ports[-1].setting == "simulator_port"


def test_faults_and_ledger_are_passed_on_to_the_simulator(tmp_path: Path) -> None:
    source = Source(fault_file=tmp_path / "f.toml", fault_words=("drop:every_s=3", "hole:at_s=9"), ledger=tmp_path / "truth")
    simulator = make_plan(profile(tmp_path, Kind.SIMULATED), Settings(data_dir=tmp_path), source).processes[0]
    expected = (
        "--faults",
        str(tmp_path / "f.toml"),
        "--ledger",
        str(tmp_path / "truth"),
        "--fault",
        "drop:every_s=3",
        "--fault",
        "hole:at_s=9",
    )
    assert simulator.command[-8:] == expected


def test_prefect_keeps_to_the_profile_and_to_this_machine(tmp_path: Path) -> None:
    mine = profile(tmp_path, Kind.LIVE)
    (server,) = [spec for spec in make_plan(mine, Settings(data_dir=tmp_path, prefect_port=4321)).processes if spec.name == "prefect"]
    assert server.env["PREFECT_HOME"] == str(mine.prefect_home.resolve())
    assert server.env["PREFECT_API_URL"] == "http://127.0.0.1:4321/api"
    assert server.env["PREFECT_SERVER_ANALYTICS_ENABLED"] == "false"
    assert server.env["PREFECT_SERVER_UI_V2_ENABLED"] == "false"
    assert server.env["DO_NOT_TRACK"] == "1"


def test_prefect_asks_for_the_password_that_is_set_and_nobody_else_can_read_it(tmp_path: Path) -> None:
    mine = profile(tmp_path, Kind.LIVE)
    plan = make_plan(mine, Settings(data_dir=tmp_path, prefect_password="open:sesame"))
    for spec in plan.processes:
        assert spec.env["PREFECT_API_AUTH_STRING"] == "spreadwatch:open:sesame"
        assert ("PREFECT_SERVER_API_AUTH_STRING" in spec.env) == (spec.name == "prefect")
        assert not any("sesame" in argument for argument in spec.command)
        assert "sesame" not in repr(spec)
    assert "sesame" not in str(plan.urls)
    without = make_plan(mine, Settings(data_dir=tmp_path))
    assert not any("AUTH" in name for spec in without.processes for name in spec.env)


@pytest.mark.parametrize(("host", "url"), [("0.0.0.0", "http://127.0.0.1:80"), ("::", "http://[::1]:80"), ("box.lan", "http://box.lan:80")])
def test_addresses_that_can_be_opened(host: str, url: str) -> None:
    assert base_url(host, 80) == url
