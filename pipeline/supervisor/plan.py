"""Which processes make up the platform for a profile: the one place that knows their order, ports and environment."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pipeline.journal import written_file
from pipeline.profile import Kind, Profile
from pipeline.settings import Settings
from pipeline.supervisor.ports import PortNeed
from pipeline.supervisor.spec import FileProbe, HttpProbe, ProcessSpec, TcpProbe

_DAY_S = 86_400
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 -- compared with, not bound to


@dataclass(frozen=True, slots=True)
class Source:
    """What a profile's simulated venue plays, what goes wrong there, and where it writes the truth.

    ``overrides`` are settings, by name, that every process of the run gets (the symbols of a recording, for example).
    """

    replay: tuple[Path, ...] = ()
    speed: float = 1.0
    shift: bool = False
    fault_file: Path | None = None
    fault_words: tuple[str, ...] = ()
    ledger: Path | None = None
    overrides: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Plan:
    """What the supervisor runs for one profile."""

    processes: tuple[ProcessSpec, ...]
    ports: tuple[PortNeed, ...]
    urls: dict[str, str]


def reachable(host: str) -> str:
    """The address under which a server bound to ``host`` is reached from this machine."""
    return _EVERYWHERE.get(host, host)


def base_url(host: str, port: int) -> str:
    """``http://host:port`` as one reaches it from this machine."""
    name = reachable(host)
    return f"http://[{name}]:{port}" if ":" in name else f"http://{name}:{port}"


HEARTBEAT_S = 30
"""How often a run of a flow gives a sign of life; Prefect's own 180 s would leave a dead run running for many minutes."""

PREFECT_USER = "spreadwatch"
"""Who signs in at Prefect when the setting prefect_password is set."""


def prefect_environment(profile: Profile, settings: Settings) -> dict[str, str]:
    """What makes Prefect's server and clients keep to this profile and to this machine."""
    known = {
        "PREFECT_HOME": str(profile.prefect_home.resolve()),
        "PREFECT_API_URL": f"{base_url(settings.host, settings.prefect_port)}/api",
        "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_S),
        # The newer UI calls an outside analytics host from each page, whatever the setting above says.
        "PREFECT_SERVER_UI_V2_ENABLED": "false",
        # Two runs a minute and more: without this its database only ever grows.
        "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs,orphans",
        "PREFECT_SERVER_SERVICES_DB_VACUUM_RETENTION_PERIOD": str(settings.run_retention_days * _DAY_S),
        "PREFECT_SERVER_EVENTS_RETENTION_PERIOD": f"P{settings.run_retention_days}D",
    }
    auth = prefect_auth(settings)
    return known if auth is None else {**known, "PREFECT_API_AUTH_STRING": ":".join(auth)}


def prefect_auth(settings: Settings) -> tuple[str, str] | None:
    """User and password of Prefect's server; None when it asks for none."""
    return None if settings.prefect_password is None else (PREFECT_USER, settings.prefect_password.get_secret_value())


def prefect_server_environment(settings: Settings) -> dict[str, str]:
    """What Prefect's server needs besides, to ask for the password.

    By the environment, for arguments can be read by every user of the machine. `/api/health` stays open, so a probe needs nothing.
    """
    auth = prefect_auth(settings)
    return {} if auth is None else {"PREFECT_SERVER_API_AUTH_STRING": ":".join(auth)}


def process_environment(profile: Profile, settings: Settings) -> dict[str, str]:
    """What a process of a profile needs to find it, whatever the working directory."""
    return {
        "SPREADWATCH_DATA_DIR": str(settings.data_dir.resolve()),
        "SPREADWATCH_PROFILE": profile.name,
        "PYTHONUNBUFFERED": "1",
        **prefect_environment(profile, settings),
    }


def simulator_overrides(settings: Settings) -> dict[str, str]:
    """The venue's addresses, all of them the simulator's."""
    http = base_url(settings.host, settings.simulator_port)
    ws = http.replace("http://", "ws://")
    return {"ws_market_url": f"{ws}/market", "ws_public_url": f"{ws}/public", "rest_url": http, "archive_url": http}


def dashboard_url(settings: Settings) -> str:
    """Where the dashboard is opened: its first public address, else this machine's."""
    if settings.dashboard_origins:
        return settings.dashboard_origins[0]
    url = base_url(settings.host, settings.dashboard_port)
    return url.replace("http://", "https://") if settings.tls_certificate else url


def needed_ports(kind: Kind, settings: Settings) -> tuple[PortNeed, ...]:
    """The ports that the platform listens on for a profile of this kind."""
    needs = [
        PortNeed(settings.host, settings.dashboard_port, "dashboard", "dashboard_port"),
        PortNeed(settings.host, settings.prefect_port, "Prefect server", "prefect_port"),
        PortNeed(settings.host, settings.warehouse_port, "warehouse", "warehouse_port"),
    ]
    if settings.metrics_port:
        needs.append(PortNeed(settings.host, settings.metrics_port, "metrics", "metrics_port"))
    if kind is not Kind.LIVE:
        needs.append(PortNeed(settings.host, settings.simulator_port, "simulator", "simulator_port"))
    return tuple(needs)


def make_plan(profile: Profile, settings: Settings, source: Source | None = None) -> Plan:
    """The processes of a profile, by its kind; ``source`` says what the simulator plays."""
    source = source or Source()
    simulated = profile.kind is not Kind.LIVE
    overrides = {**(simulator_overrides(settings) if simulated else {}), **source.overrides}
    environment = process_environment(profile, settings) | {f"SPREADWATCH_{name.upper()}": value for name, value in overrides.items()}
    host = reachable(settings.host)

    def own(command: str, *arguments: str) -> tuple[str, ...]:
        return (sys.executable, "-m", "pipeline.cli", command, "--profile", profile.name, *arguments)

    server = ("--host", settings.host, "--port", str(settings.prefect_port))
    processes = [
        ProcessSpec(
            "capture",
            own("capture"),
            environment,
            after=("simulate",) if simulated else (),
            probe=FileProbe(written_file(profile, settings, "capture")),
        ),
        ProcessSpec("warehouse", own("warehouse"), environment, probe=TcpProbe(host, settings.warehouse_port), grace_s=20.0),
        ProcessSpec(
            "prefect",
            (sys.executable, "-m", "prefect", "server", "start", *server),
            {**environment, **prefect_server_environment(settings)},
            probe=HttpProbe(host, settings.prefect_port, "/api/health"),
            hung_after_s=300.0,  # on SQLite it may be busy for long; a new start would crash the runs at work
        ),
        ProcessSpec("flows", own("flows"), environment, after=("warehouse", "prefect"), grace_s=20.0),
        ProcessSpec("dashboard", own("dashboard"), environment, after=("warehouse",), probe=TcpProbe(host, settings.dashboard_port)),
    ]
    if simulated:
        processes.insert(
            0,
            ProcessSpec(
                "simulate",
                own("simulate", *_simulator_arguments(source)),
                environment,
                probe=HttpProbe(host, settings.simulator_port, "/fapi/v1/ping"),
            ),
        )
    urls = {
        "Dashboard": dashboard_url(settings),
        "Prefect UI": base_url(settings.host, settings.prefect_port),
    }
    if settings.metrics_port:
        urls["Metrics"] = base_url(settings.host, settings.metrics_port) + "/metrics"
    return Plan(tuple(processes), needed_ports(profile.kind, settings), urls)


def _simulator_arguments(source: Source) -> tuple[str, ...]:
    arguments = [argument for path in source.replay for argument in ("--replay", str(path.resolve()))]
    if source.replay:
        arguments += ["--speed", f"{source.speed:g}", *(["--shift"] if source.shift else [])]
    for option, path in (("--faults", source.fault_file), ("--ledger", source.ledger)):
        if path is not None:
            arguments += [option, str(path.resolve())]
    return (*arguments, *(argument for word in source.fault_words for argument in ("--fault", word)))
