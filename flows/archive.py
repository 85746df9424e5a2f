"""Old ticks, quotes and 1s bars out of the database into Parquet."""

from dataclasses import asdict
from typing import Any

from flows.batch import batch_flow
from flows.session import listed, progress, run_name, session, tell, with_retries


@batch_flow(
    name="archive",
    description="Moves whole days of ticks, quotes and 1s bars that are old enough from the database into Parquet files.",
    flow_run_name=run_name(lambda given: f"archive {listed(given.get('datasets'), 'everything that is old enough')}"),
    timeout_seconds=3_600,
)
def archive(datasets: list[str] | None = None) -> int:
    """Archive what is due; the ages are settings.

    Args:
        datasets: which of ticks, quotes and bars_1s; all of them when not given.

    Returns:
        Days written or removed.
    """
    from pipeline.jobs.archive import chosen_datasets

    names = list(chosen_datasets(datasets))
    rows = with_retries(move_old_days, names)
    done = [row for row in rows if row["action"] != "nothing"]
    moved = sum(int(row["rows"]) for row in done)
    tell("archive", f"{len(done)} days with {moved} rows of {listed(names, 'nothing')} archived or expired", rows)
    return len(done)


def move_old_days(datasets: list[str]) -> list[dict[str, Any]]:
    """The work: one row for each day that was due."""
    from pipeline.jobs.archive import Ages
    from pipeline.jobs.archive import archive as move

    with session("archive") as at:
        bar = progress("days archived")
        return [asdict(row) for row in move(at.warehouse, at.profile, Ages.of(at.settings), run=at.run, datasets=datasets, progress=bar)]
