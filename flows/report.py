"""A report of the profile as one HTML file."""

from datetime import UTC, datetime, timedelta
from typing import Annotated

from prefect.artifacts import create_link_artifact
from pydantic import Field

from flows.batch import batch_flow
from flows.session import here, listed, progress, run_name, session, tell, universe, with_retries
from pipeline.jobs.choice import parsed_time
from pipeline.supervisor.plan import base_url

_LONGEST_H, _LONGEST_TITLE = 24 * 366, 120


def _name(hours: int, start: object, end: object, pairs: list[str] | None) -> str:
    period = f"from {start}" if start else f"of the last {hours} hours"
    until = f" to {end}" if end else ""
    return f"report {period}{until} on {listed(pairs, 'every pair')}"


@batch_flow(
    name="report",
    description="Writes a self-contained HTML report: models, verdicts, charts, liquidity, alerts, data quality and pipeline health.",
    flow_run_name=run_name(lambda given: _name(given.get("hours", 24), given.get("start"), given.get("end"), given.get("pairs"))),
    timeout_seconds=900,
)
def report(
    hours: Annotated[int, Field(ge=1, le=_LONGEST_H)] = 24,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    pairs: list[str] | None = None,
    title: Annotated[str, Field(max_length=_LONGEST_TITLE)] | None = None,
    deliver: bool | None = None,
) -> str:
    """Write the report of a period.

    Args:
        hours: how far it looks back from its end; not used when a start is given.
        start: first moment of the period.
        end: its end; now (of a recording: how far it has come) when not given.
        pairs: which of the universe's, such as ["ETHUSDT/BTCUSDT"]; all of them when not given.
        title: what stands at the top; the profile's name when not given.
        deliver: tell of it over webhook_url and alert_callback, once; the setting report_deliver when not given.

    Returns:
        Path of the file.
    """
    from pipeline.jobs.report import make_order

    profile, chosen = here()
    since, until = parsed_time(start, "start"), parsed_time(end, "end")
    known = universe()
    # What is wrong is refused here, before anything is tried; how far a recording has come is only known later.
    now = since + timedelta(hours=1) if since else datetime.now(UTC)
    make_order(profile, known, now=now, hours=hours, start=since, end=until, pairs=pairs, title=title)
    told = chosen.report_deliver if deliver is None else deliver
    path, name, size = with_retries(write, hours, (since, until), pairs, title, told)
    link = f"{base_url(chosen.host, chosen.dashboard_port)}/reports/{path.rpartition('/')[2]}"
    create_link_artifact(key="report", link=link, link_text=name, description=f"{name}: {path}")
    tell("report-files", f"1 report written: {path}", [{"report": name, "bytes": size, "path": path, "delivered": told}])
    return path


def write(
    hours: int,
    period: tuple[datetime | None, datetime | None],
    pairs: list[str] | None,
    title: str | None,
    deliver: bool,  # noqa: FBT001
) -> tuple[str, str, int]:
    """The work: path, title and size of the file."""
    from pipeline.jobs.choice import published_universe
    from pipeline.jobs.report import make_order, report_time, write_report

    with session("report") as at:
        known = published_universe(at.profile)
        now = report_time(at.warehouse, at.profile, at.now)
        order = make_order(at.profile, known, now=now, hours=hours, start=period[0], end=period[1], pairs=pairs, title=title)
        row = write_report(
            at.warehouse,
            at.profile,
            known,
            at.settings,
            order,
            now=at.now,
            run=at.run,
            deliver=deliver,
            progress=progress("pairs of the report"),
        )
        return str(at.profile.reports.resolve() / row.path), row.title, row.bytes
