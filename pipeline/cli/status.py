"""`status`: the processes of a profile and the health of its data, for people or as JSON."""

from __future__ import annotations

import json
import sys
import time

import click

from pipeline.cli.process import existing_profile, profile_option


@click.command()
@profile_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object with everything that is known.")
def status(*, profile_name: str | None, as_json: bool) -> None:
    """How the running platform is doing; exit code 1 when not everything is healthy."""
    from pipeline.cli.vitals import take_vitals
    from pipeline.supervisor import status as supervised

    chosen = existing_profile(profile_name)
    run = supervised.read(chosen.run)
    if run is None:
        if as_json:
            click.echo(json.dumps({"profile": chosen.name, "kind": chosen.kind.value, "running": False, "healthy": False}))
        else:
            click.echo(f"Profile {chosen.name} ({chosen.kind}) is not running; `spreadwatch up --profile {chosen.name}` starts it.")
        sys.exit(1)
    now = time.time()
    vitals = take_vitals(chosen)
    healthy = run.healthy and vitals.healthy
    if as_json:
        told = {
            "profile": chosen.name,
            "kind": chosen.kind.value,
            "running": True,
            "healthy": healthy,
            "pid": run.supervisor_pid,
            "running_for_s": round(now - run.started_at, 1),
            "processes": [
                {"name": row.name, "state": row.state.value, "for_s": round(now - row.since, 1), "pid": row.pid, "restarts": row.restarts,
                 "detail": row.detail}
                for row in run.processes
            ],
            "urls": run.urls,
            "data": vitals.facts,
        }  # fmt: skip
        click.echo(json.dumps(told, indent=2, default=str))
        sys.exit(0 if healthy else 1)
    click.echo(f"Profile {chosen.name} ({chosen.kind}), running for {_age(now - run.started_at)} (pid {run.supervisor_pid})")
    rows = [("PROCESS", "STATE", "FOR", "PID", "RESTARTS", "")]
    for row in run.processes:
        detail = "" if row.state.value == "healthy" else row.detail
        rows.append((row.name, row.state.value, _age(now - row.since), str(row.pid or "-"), str(row.restarts), detail))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for cells in rows:
        click.echo("  ".join(f"{cell:<{width}}" for cell, width in zip(cells, widths, strict=True)).rstrip())
    for name, text in vitals.lines:
        click.echo(f"{name:<13} {text}")
    for name, url in run.urls.items():
        click.echo(f"{name:<13} {url}")
    sys.exit(0 if healthy else 1)


def _age(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    if seconds < 7_200:
        return f"{seconds / 60:.0f} min"
    return f"{seconds / 3_600:.1f} h"
