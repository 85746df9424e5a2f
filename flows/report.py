"""A report of the profile as one HTML file."""

from typing import Annotated

from prefect import flow
from prefect.artifacts import create_link_artifact
from pydantic import Field

from flows.session import run_name, session, tell, universe, with_retries


@flow(
    name="report",
    description="Writes a self-contained HTML report: models, verdicts, charts, liquidity, data and health.",
    flow_run_name=run_name(lambda given: f"report of the last {given.get('hours', 24)} hours"),
    timeout_seconds=900,
)
def report(hours: Annotated[int, Field(ge=1, le=24 * 366)] = 24) -> str:
    """Write the report of the last hours.

    Args:
        hours: how far it looks back.

    Returns:
        Path of the file.
    """
    universe()
    path, name, size = with_retries(write, hours)
    create_link_artifact(key="report", link=f"file://{path}", link_text=name, description=f"Report of the last {hours} hours")
    tell("report-files", f"1 report written: {path}", [{"report": name, "bytes": size, "path": path}])
    return path


def write(hours: int) -> tuple[str, str, int]:
    """The work: path, title and size of the file."""
    from pipeline.jobs.choice import published_universe
    from pipeline.jobs.report import write_report

    with session("report") as at:
        row = write_report(at.warehouse, at.profile, published_universe(at.profile), at.settings, now=at.now, hours=hours)
        return str(at.profile.reports.resolve() / row.path), row.title, row.bytes
