"""The settings: one typed, documented list, and the only reader of the environment and of ``spreadwatch.toml``.

Order of precedence: ``SPREADWATCH_<NAME>`` in the environment, then ``spreadwatch.toml`` in the
working directory (or the file that ``SPREADWATCH_CONFIG`` names), then the default below.
Lists are JSON in the environment (``SPREADWATCH_SYMBOLS='["BTCUSDT"]'``) or separated by commas.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import tomllib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, NoDecode, PydanticBaseSettingsSource, SettingsConfigDict, TomlConfigSettingsSource

from pipeline.errors import SettingsError, UsageError
from pipeline.model.event import TradeKind
from pipeline.model.pair import Pair, parse_symbol
from pipeline.model.timeframe import Timeframe
from pipeline.model.universe import Method

_PREFIX = "SPREADWATCH_"
_CONFIG_VARIABLE = "SPREADWATCH_CONFIG"
_ORIGIN = re.compile(r"https?://[A-Za-z0-9.-]+(?::[1-9][0-9]{0,4})?")

T = TypeVar("T")

Names = Annotated[tuple[str, ...], NoDecode]
Port = Annotated[int, Field(ge=1, le=65535)]


class Settings(BaseSettings):
    """Every setting of the platform. Field descriptions are the documentation, and README's table is held to them."""

    model_config = SettingsConfigDict(env_prefix=_PREFIX, extra="forbid", frozen=True, validate_default=True)

    data_dir: Path = Field(Path("data"), description="Where everything is kept: one directory per profile, logs, Prefect's own files.")
    profile: str = Field("live", pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$", description="The profile that commands use when none is named.")
    host: str = Field("127.0.0.1", description="Address that every server binds to.")
    dashboard_port: Port = Field(5006, description="Port of the dashboard.")
    dashboard_origins: Names = Field(
        (), description="Addresses under which others reach the dashboard, such as `https://desk.example.com`; a login is then required."
    )
    login: Literal["auto", "always"] = Field(
        "auto", description="Whether the dashboard asks for a login: where other machines can reach it (auto), or always."
    )
    login_hours: float = Field(168.0, gt=0, le=8_760, description="Hours after which one has to log in again.")
    tls_certificate: Path | None = Field(None, description="Certificate chain (PEM) with which the dashboard serves HTTPS; with tls_key.")
    tls_key: Path | None = Field(None, description="Private key (PEM) of tls_certificate.")
    proxies: Names = Field(
        (),
        description="IP addresses of proxies in front of the dashboard, whose `X-Forwarded-For` is believed when tries to log in count.",
    )
    upload_max_mb: int = Field(200, ge=1, le=4_096, description="Largest file that can be uploaded to the dashboard, in MB.")
    prefect_port: Port = Field(4200, description="Port of the Prefect server and UI.")
    warehouse_port: Port = Field(9494, description="Port on which the warehouse serves SQL (DuckDB Quack).")
    metrics_port: int = Field(9464, ge=0, le=65535, description="Port on which the warehouse tells its numbers to Prometheus; 0 for none.")
    simulator_port: Port = Field(9443, description="Port of the simulated venue.")

    symbols: Names = Field(("BTCUSDT", "ETHUSDT"), description="Symbols that a new profile follows.")
    pairs: Names = Field(("ETHUSDT/BTCUSDT",), description="Pairs (y/x) that a new profile models.")
    timeframes: Names = Field(("1s", "1m", "5m"), description="Bar lengths; 1s is always made. Any length that divides a day.")
    primary_method: Method = Field(
        Method.OLS, description="Hedge ratio of a new pair's live model: ols, huber, theil_sen, tls or min_half_life."
    )
    lookback: int = Field(500, ge=30, le=100_000, description="Bars that a model is fitted on.")
    zscore_window: int = Field(20, ge=3, le=10_000, description="Bars in a z-score's window, the current one included.")
    correlation_window: int = Field(50, ge=3, le=10_000, description="Bars in the rolling correlation of one-bar log returns.")
    adf_significance: float = Field(0.05, gt=0, lt=1, description="Level at which a stationarity or cointegration verdict is given.")
    max_fill: int = Field(5, ge=0, le=1_000, description="Bars over which the last close of a silent leg is carried forward.")
    halt_after_s: float = Field(
        300.0, ge=1, description="Seconds between two trades with no id missing between them from which the gap ledger notes a halt."
    )
    lateness_ms: int = Field(1_000, ge=0, le=600_000, description="How long after its end a bar waits for late trades to be complete.")

    trade_stream: TradeKind = Field(TradeKind.AGGREGATE, description="Trade stream of a profile: aggTrade or trade. One kind a profile.")
    quotes: bool = Field(True, description="Also capture best bid and ask (bookTicker).")
    ws_market_url: str = Field("wss://fstream.binance.com/market", description="WebSocket base of trades and klines.")
    ws_public_url: str = Field("wss://fstream.binance.com/public", description="WebSocket base of book tickers.")
    rest_url: str = Field("https://fapi.binance.com", description="REST base of the venue.")
    archive_url: str = Field("https://data.binance.vision", description="Base of the venue's archive of daily and monthly files.")
    reconnect_max_s: float = Field(30.0, gt=0, description="Longest pause between two connection attempts, in seconds.")
    connection_hours: float = Field(23.0, gt=0, le=23.9, description="Longest planned life of a connection; the venue ends it after 24 h.")
    rotate_at: str | None = Field(
        None, pattern=r"^([01]\d|2[0-3]):[0-5]\d$", description='Time of day (UTC, such as "04:30") at which connections are best replaced.'
    )
    stale_after_s: float = Field(30.0, gt=0, description="Silence of a stream after which it is subscribed anew, in seconds.")
    simulator_seed: int = Field(7, ge=0, description="Seed of the simulated universe.")

    journal: Literal["files", "redis"] = Field(
        "files", description="Where the journal is kept: files of the profile, or Redis Streams at redis_url. Fixed when a profile begins."
    )
    fsync_ms: int = Field(250, ge=1, le=60_000, description="Interval of the journal's group fsync: the most that a power cut can take.")
    segment_mb: int = Field(64, ge=1, le=4_096, description="Size at which a journal segment is sealed and compressed.")
    segment_minutes: int = Field(60, ge=1, le=1_440, description="Age at which a journal segment is sealed and compressed.")
    journal_retention_hours: int = Field(72, ge=1, description="How long landed journal segments are kept.")
    tick_archive_days: int = Field(30, ge=1, description="Days after which a whole day of ticks moves from the database to the archive.")
    quote_archive_hours: int = Field(24, ge=1, description="Hours after its end at which a day of quotes moves to the archive.")
    bar_1s_archive_days: int = Field(30, ge=1, description="Days after which a whole day of 1s bars moves to the archive.")
    archive_retention_days: int = Field(0, ge=0, description="Days after which an archived day is removed for good; 0 keeps all.")
    batch_max_lines: int = Field(150_000, ge=100, description="Most journal lines in one landing transaction.")

    backfill_hours: int = Field(24, ge=1, le=24 * 365, description="History of 1m klines fetched when a profile starts.")
    resample_every_s: int = Field(60, ge=60, description="Schedule of the resample flow, in seconds.")
    fit_every_s: int = Field(60, ge=60, description="Schedule of the fit_pairs flow, in seconds.")
    liquidity_every_s: int = Field(300, ge=60, description="Schedule of the liquidity flow, in seconds.")
    backfill_every_s: int = Field(3_600, ge=60, description="Schedule of the backfill flow, in seconds.")
    screen_every_s: int = Field(3_600, ge=60, description="Schedule of the screen flow, in seconds.")
    screen_keep: int = Field(72, ge=1, le=100_000, description="Newest screens of each timeframe that are kept.")
    report_every_s: int = Field(3_600, ge=60, description="Schedule of the report flow, in seconds.")
    repair_every_s: int = Field(300, ge=60, description="Schedule of the repair_gaps flow, in seconds.")
    archive_every_s: int = Field(3_600, ge=60, description="Schedule of the archive flow, in seconds.")
    quality_every_s: int = Field(300, ge=60, description="Schedule of the check_quality flow, in seconds.")
    maintain_every_s: int = Field(21_600, ge=60, description="Schedule of the maintain flow, in seconds.")
    disk_free_warn_gb: float = Field(5.0, ge=0, description="Free room on the disk, in GB, below which the maintain flow warns.")
    run_retention_days: int = Field(
        3, ge=1, le=3_650, description="How long Prefect keeps runs that have ended, with their logs and artifacts."
    )
    quality_silence_s: int = Field(900, ge=10, description="Seconds without a trade that check_quality warns of; four times that fails.")
    report_keep: int = Field(168, ge=1, le=100_000, description="Newest reports that are kept; older ones are deleted.")
    report_deliver: bool = Field(False, description="Tell of each scheduled report over the channels of alerts.")
    prefect_password: SecretStr | None = Field(
        None, min_length=8, description="Password of the Prefect UI and API (user `spreadwatch`); open to this machine when unset."
    )

    webhook_url: SecretStr | None = Field(None, description="Alert events are POSTed here as JSON.")
    webhook_secret: SecretStr | None = Field(None, description="Key of the HMAC-SHA256 that signs each webhook request.")
    webhook_private: bool = Field(
        False, description="Whether webhooks may be redirected to private addresses, and names of the internet may have them."
    )
    alert_callback: str | None = Field(None, description="Python callable that receives alert events, as `package.module:function`.")
    channels_file: Path | None = Field(
        None, description="TOML file (mode 0600) of named alert channels: Slack, Telegram, e-mail, webhooks (docs/alerts.md)."
    )
    channels: SecretStr | None = Field(None, description='Named alert channels as JSON: `{"ops": "slack://...", "desk": "https://..."}`.')
    alert_group_s: float = Field(
        2.0, ge=0, le=3_600, description="Seconds for which alerts of one rule are gathered into one message to people."
    )
    alert_repeat_s: float = Field(
        14_400.0, ge=0, description="Seconds after which a firing alert that nobody acknowledged is told again; 0 never."
    )
    alert_rate_per_minute: int = Field(
        20, ge=0, le=100_000, description="Most messages a minute to each channel that people read; 0 is no limit."
    )
    outbox_keep_days: int = Field(
        30, ge=1, le=3_650, description="Days for which delivered alerts are kept in the outbox; those given up stay."
    )
    redis_url: SecretStr | None = Field(None, description="Redis of the optional Redis Streams journal; checked by `doctor` when set.")
    log_level: str = Field("INFO", pattern=r"^(DEBUG|INFO|WARNING|ERROR)$", description="Least severe level that is logged.")

    @field_validator("symbols", "pairs", "timeframes", "dashboard_origins", "proxies", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        if isinstance(value, str):
            text = value.strip().removeprefix("[").removesuffix("]")
            return tuple(part.strip().strip("\"'") for part in text.split(",") if part.strip())
        return value

    @field_validator("symbols")
    @classmethod
    def _symbols(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_said_plainly(parse_symbol, text) for text in value)

    @field_validator("pairs")
    @classmethod
    def _pairs(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(_said_plainly(Pair.parse, text)) for text in value)

    @field_validator("timeframes")
    @classmethod
    def _timeframes(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        parsed = {_said_plainly(Timeframe.parse, text) for text in value} | {Timeframe.parse("1s")}
        return tuple(timeframe.name for timeframe in sorted(parsed))

    @field_validator("dashboard_origins")
    @classmethod
    def _origins(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        for text in value:
            if _ORIGIN.fullmatch(text) is None:
                msg = f"{text!r} is no origin; expected http:// or https:// and a name, with a port where it is not the usual one"
                raise ValueError(msg)
        return tuple(text.lower() for text in value)

    @field_validator("proxies")
    @classmethod
    def _addresses(cls, value: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(str(ipaddress.ip_address(text)) for text in value)

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- the signature is pydantic's
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Environment over file over default; no .env file and no secrets directory."""
        return (init_settings, env_settings, TomlConfigSettingsSource(settings_cls, toml_file=_config_file()))

    @property
    def parsed_timeframes(self) -> tuple[Timeframe, ...]:
        """``timeframes`` as values, shortest first."""
        return tuple(Timeframe.parse(name) for name in self.timeframes)


_SECRETS = frozenset(name for name, field in Settings.model_fields.items() if "SecretStr" in str(field.annotation))


def _said_plainly(parse: Callable[[str], T], text: str) -> T:
    """Turn our usage errors into the ValueError that pydantic collects."""
    try:
        return parse(text)
    except UsageError as error:
        raise ValueError(str(error)) from error


def _config_file() -> Path:
    return Path(os.environ.get(_CONFIG_VARIABLE, "spreadwatch.toml"))


def load_settings() -> Settings:
    """Read the settings afresh.

    Raises:
        SettingsError: when a key is unknown (with the nearest known one), a value cannot be used, or the file is not TOML.
    """
    known = sorted(Settings.model_fields)
    for variable in os.environ:
        if variable.startswith(_PREFIX) and variable != _CONFIG_VARIABLE:
            _refuse_unknown(variable.removeprefix(_PREFIX).lower(), known, shown=variable, spell=lambda name: _PREFIX + name.upper())
    try:
        text = _config_file().read_bytes()
    except FileNotFoundError:
        if _CONFIG_VARIABLE in os.environ:
            msg = f"{_CONFIG_VARIABLE} names {_config_file()}, which does not exist; create it or unset the variable"
            raise SettingsError(msg) from None
        text = b""
    try:
        keys = tomllib.loads(text.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        msg = f"{_config_file()} is not TOML: {error}; see the settings table in README.md"
        raise SettingsError(msg) from error
    for key in keys:
        _refuse_unknown(key, known, shown=f"{key} in {_config_file()}", spell=str)
    try:
        return Settings()
    except ValidationError as error:
        first = error.errors()[0]
        name = ".".join(str(part) for part in first["loc"])
        secret = name in _SECRETS
        given = name if secret else f"{name} = {first['input']!r}"
        msg = f"setting {given} cannot be used: {first['msg']}; see the settings table in README.md"
        # The error it came from tells the value, too.
        raise SettingsError(msg) from (None if secret else error)


def _refuse_unknown(name: str, known: list[str], *, shown: str, spell: Callable[[str], str]) -> None:
    if name in known:
        return
    near = difflib.get_close_matches(name, known, n=1)
    hint = f"did you mean {spell(near[0])}?" if near else "see the settings table in README.md"
    msg = f"setting {shown} is unknown; {hint}"
    raise SettingsError(msg)


@cache
def settings() -> Settings:
    """The settings of this process, read once."""
    return load_settings()
