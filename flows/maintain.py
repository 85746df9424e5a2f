"""Upkeep: checkpoint, sizes, room on the disk."""

from typing import Any

from prefect import get_run_logger
from prefect.artifacts import create_markdown_artifact

from flows.batch import batch_flow
from flows.session import here, run_name, session, tell, with_retries
from pipeline.errors import UsageError


@batch_flow(
    name="maintain",
    description="Checkpoints the database, moves large logs aside, tells what takes how much room, and warns before the disk is full.",
    flow_run_name=run_name(lambda _: "maintain the database and files"),
    timeout_seconds=1_800,
)
def maintain(warn_below_gb: float | None = None) -> int:
    """Look after database, logs and disk.

    Args:
        warn_below_gb: free room on the disk below which to warn; the setting disk_free_warn_gb when not given.

    Returns:
        Bytes that the profile takes.
    """
    limit = here()[1].disk_free_warn_gb if warn_below_gb is None else warn_below_gb
    if limit < 0:
        msg = f"warn_below_gb is {limit:g}; expected 0 (never warn) or more"
        raise UsageError(msg)
    summary, warning, total, rows = with_retries(look_after, limit)
    if warning:
        get_run_logger().warning(warning)
        create_markdown_artifact(key="disk", markdown=f"**The disk is nearly full.** {warning}", description=warning)
    tell("sizes", summary, rows)
    return int(total)


def look_after(warn_below_gb: float) -> tuple[str, str, int, list[dict[str, Any]]]:
    """The work: summary, warning, bytes in all, and one row for each thing that takes room."""
    from pipeline.jobs.maintain import checkpointed, told
    from pipeline.jobs.maintain import maintain as keep_up
    from pipeline.supervisor.logfile import rotate_growing

    with session("maintain") as at:
        done = keep_up(
            at.warehouse,
            at.profile,
            now=at.now,
            checkpoint=lambda: checkpointed(at.warehouse, at.profile, run=at.run),
            rotate_logs=rotate_growing,
            warn_below_gb=warn_below_gb,
        )
    rows = [
        {
            "part": size.part,
            "name": size.name,
            "rows": size.rows,
            "size": told(size.bytes),
            "grown by": "" if size.grown_bytes is None else told(size.grown_bytes),
            "rows more": size.grown_rows,
            "bytes": size.bytes,
        }
        for size in done.sizes
    ]
    return done.summary, done.warning, done.total, rows
