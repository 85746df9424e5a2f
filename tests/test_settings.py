"""Settings: where they come from, what they refuse, and that README tells the truth about them."""

from __future__ import annotations

import json
import os
import re
import traceback
from pathlib import Path

import pytest

from pipeline.errors import SettingsError
from pipeline.settings import Settings, load_settings

README = Path(__file__).parents[1] / "README.md"


@pytest.fixture(autouse=True)
def _nothing_set(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for variable in list(os.environ):
        if variable.startswith("SPREADWATCH_"):
            monkeypatch.delenv(variable)
    monkeypatch.chdir(tmp_path)


def shown(default: object) -> str:
    if default is None:
        return "unset"
    if isinstance(default, tuple):
        return f"`{json.dumps(list(default))}`"
    if isinstance(default, bool | int | float):
        return f"`{json.dumps(default)}`"
    return f"`{json.dumps(str(default))}`"


def test_the_table_in_readme_is_the_settings() -> None:
    expected = [f"| `{name}` | {shown(field.default)} | {field.description} |" for name, field in Settings.model_fields.items()]
    section = re.search(r"\n## Settings\n(.*?)\n## ", README.read_text(), re.DOTALL)
    assert section is not None
    actual = [line for line in section[1].splitlines() if line.startswith("| `")]
    assert actual == expected


def test_every_setting_is_described() -> None:
    for name, field in Settings.model_fields.items():
        assert field.description, name
        assert field.description.endswith("."), name


def test_environment_over_file_over_default(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert load_settings().zscore_window == 20
    (tmp_path / "spreadwatch.toml").write_text('zscore_window = 30\nlookback = 100\nsymbols = ["SOLUSDT", "BTCUSDT"]\n')
    assert load_settings().zscore_window == 30
    assert load_settings().symbols == ("SOLUSDT", "BTCUSDT")
    monkeypatch.setenv("SPREADWATCH_ZSCORE_WINDOW", "40")
    assert (load_settings().zscore_window, load_settings().lookback) == (40, 100)


def test_another_file_can_be_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "other.toml").write_text("host = '0.0.0.0'\n")
    monkeypatch.setenv("SPREADWATCH_CONFIG", str(tmp_path / "other.toml"))
    assert load_settings().host == "0.0.0.0"
    monkeypatch.setenv("SPREADWATCH_CONFIG", str(tmp_path / "absent.toml"))
    with pytest.raises(SettingsError, match=r"names .*absent\.toml, which does not exist"):
        load_settings()


@pytest.mark.parametrize("text", ['["BTCUSDT", "SOLUSDT"]', "BTCUSDT,SOLUSDT", "BTCUSDT, SOLUSDT,"])
def test_lists_in_the_environment(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("SPREADWATCH_SYMBOLS", text)
    assert load_settings().symbols == ("BTCUSDT", "SOLUSDT")


def test_a_timeframe_is_added_by_settings_alone_and_1s_is_always_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPREADWATCH_TIMEFRAMES", "5m,15s")
    assert load_settings().timeframes == ("1s", "15s", "5m")
    assert [timeframe.seconds for timeframe in load_settings().parsed_timeframes] == [1, 15, 300]


def test_unknown_keys_say_what_was_probably_meant(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "spreadwatch.toml").write_text("zscore_windw = 30\n")
    with pytest.raises(SettingsError, match=r"zscore_windw in spreadwatch\.toml is unknown; did you mean zscore_window\?"):
        load_settings()
    (tmp_path / "spreadwatch.toml").write_text("xyzzy = 30\n")
    with pytest.raises(SettingsError, match=r"xyzzy in spreadwatch\.toml is unknown; see the settings table in README"):
        load_settings()
    (tmp_path / "spreadwatch.toml").unlink()
    monkeypatch.setenv("SPREADWATCH_DASHBORD_PORT", "1")
    with pytest.raises(SettingsError, match=r"SPREADWATCH_DASHBORD_PORT is unknown; did you mean SPREADWATCH_DASHBOARD_PORT\?"):
        load_settings()


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("dashboard_port", "70000", "dashboard_port"),
        ("symbols", "btcusdt", "expected capital letters"),
        ("pairs", "BTCUSDT", "expected two different symbols"),
        ("timeframes", "7m", "does not divide a day"),
        ("primary_method", "magic", "primary_method"),
        ("profile", "../x", "profile"),
        ("resample_every_s", "5", "greater than or equal to 60"),
    ],
)
def test_values_that_cannot_be_used_are_one_line(monkeypatch: pytest.MonkeyPatch, name: str, value: str, said: str) -> None:
    monkeypatch.setenv(f"SPREADWATCH_{name.upper()}", value)
    with pytest.raises(SettingsError, match=re.escape(said)) as caught:
        load_settings()
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_toml(tmp_path: Path) -> None:
    (tmp_path / "spreadwatch.toml").write_text("symbols = [\n")
    with pytest.raises(SettingsError, match=r"spreadwatch\.toml is not TOML"):
        load_settings()


def test_secrets_do_not_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPREADWATCH_WEBHOOK_URL", "https://hooks.example/secret-part")
    assert "secret-part" not in repr(load_settings())


def test_a_secret_that_cannot_be_used_is_not_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPREADWATCH_PREFECT_PASSWORD", "k3pt")
    with pytest.raises(SettingsError, match="setting prefect_password cannot be used") as caught:
        load_settings()
    assert "k3pt" not in "".join(traceback.format_exception(caught.value))
