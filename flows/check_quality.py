"""Whether the data is fit to be built on."""

from typing import Any

from prefect.artifacts import create_markdown_artifact

from flows.batch import batch_flow
from flows.session import here, listed, run_name, session, tell, universe, with_retries
from pipeline.jobs.choice import chosen_symbols, chosen_timeframes


@batch_flow(
    name="check_quality",
    description="Checks freshness, gaps, duplicates, outliers, bars, clocks and models; fails when something is wrong that matters.",
    flow_run_name=run_name(
        lambda given: f"check {listed(given.get('symbols'), 'every symbol')} on {listed(given.get('timeframes'), 'every timeframe')}"
    ),
    timeout_seconds=900,
)
def check_quality(symbols: list[str] | None = None, timeframes: list[str] | None = None) -> int:
    """Run every check on what is new, and keep what was found.

    Args:
        symbols: which of the universe's; all of them when not given.
        timeframes: which of the configured ones; all of them when not given.

    Returns:
        Checks that warn.

    Raises:
        QualityError: when a check of severity error fails. What was found has been saved by then.
    """
    names = [timeframe.name for timeframe in chosen_timeframes(timeframes, here()[1])]
    wanted = list(chosen_symbols(symbols, universe(), uploaded=True)) if symbols else None
    report = with_retries(judge, wanted, names, timeframes is None)
    rows = [_told(finding) for finding in report.findings]
    create_markdown_artifact(key="quality-summary", markdown=_markdown(report, rows), description=report.summary)
    tell("quality", report.summary, rows)
    report.require_sound()
    return sum(1 for row in rows if row["state"] == "warn")


def judge(symbols: list[str] | None, timeframes: list[str], every_timeframe: bool) -> Any:  # noqa: FBT001
    """The work: the report."""
    from pipeline.jobs.check_quality import check_quality as check
    from pipeline.jobs.check_quality import scope_of, venue_offset
    from pipeline.jobs.choice import published_universe
    from pipeline.jobs.venue_rest import VenueRest
    from pipeline.model.timeframe import Timeframe
    from pipeline.profile import Kind

    with session("check_quality") as at, VenueRest(at.settings.rest_url, patience_s=0, timeout_s=5) as rest:
        frames = tuple(Timeframe.parse(name) for name in timeframes)
        scope = scope_of(
            at.profile, at.settings, published_universe(at.profile), symbols, frames, everything=not symbols and every_timeframe
        )
        ask = None if at.profile.kind is Kind.RECORDED else venue_offset(rest)
        return check(at.warehouse, scope, now=at.now, run=at.run, ask_offset=ask)


def _told(finding: Any) -> dict[str, Any]:
    return {
        "state": finding.state.value,
        "check": finding.name,
        "subject": finding.subject,
        "timeframe": finding.timeframe,
        "value": finding.value,
        "threshold": finding.threshold,
        "blocks": finding.blocking and finding.state.value == "error",
        "detail": finding.detail,
    }


def _markdown(report: Any, rows: list[dict[str, Any]]) -> str:
    """What is wrong, and how long each check took."""
    wrong = [row for row in rows if row["state"] in ("error", "warn")]
    lines = [f"# Data quality: {report.summary}", ""]
    if wrong:
        lines += ["| state | check | subject | timeframe | detail |", "|---|---|---|---|---|"]
        lines += [f"| {row['state']} | {row['check']} | {row['subject']} | {row['timeframe']} | {row['detail']} |" for row in wrong[:50]]
    else:
        lines.append("Nothing is wrong.")
    took = ", ".join(f"{name} {seconds:.2f} s" for name, seconds in report.seconds.items())
    return "\n".join([*lines, "", f"Took: {took or 'nothing to look at'}."])
