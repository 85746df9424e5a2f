"""What flows measured, as alert rules see it. It reaches them through a line of our own in the journal, so that a rebuild knows it."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from pipeline.alerts import PIPELINE, Metric, Reading
from pipeline.store.alert_inputs import Measure, measure_row
from pipeline.warehouse.watch import Watch

MEASURED = "measured"
_MOST_IN_A_LINE = 200


class Measured:
    """The newest measure of each series and timeframe."""

    def __init__(self, measures: Iterable[Measure] = ()) -> None:
        self._known: dict[tuple[str, str | None], Measure] = {}
        for measure in measures:
            self.take(measure)

    def take(self, measure: Measure) -> None:
        """Note a measure in the place of the one before."""
        self._known[measure.series, measure.timeframe] = measure

    def at_us(self, series: str, timeframe: str | None) -> int:
        """Time of the newest measure of a series, 0 when there is none."""
        known = self._known.get((series, timeframe))
        return known.at_us if known else 0

    def news(self, measures: Iterable[Measure]) -> list[Measure]:
        """Those that are not known yet, a measure of the same time with other values included."""
        return [measure for measure in measures if self._known.get((measure.series, measure.timeframe)) != measure]

    def reading(self, watch: Watch) -> Reading:
        """What a watch on a flow's metric shows."""
        if watch.metric is Metric.FLOW_FAILURES:
            return self._failures(watch.series)
        name = watch.frame.name if watch.frame else None
        known = self._known.get((watch.series, name))
        if known is None:
            return Reading(None, why=f"the flow liquidity has not measured {watch.series} on {name} yet")
        value = known.values.get(watch.metric.value)
        return Reading(value, "" if value is not None else known.why, first_bar_us=known.at_us, last_bar_us=known.at_us)

    def _failures(self, series: str) -> Reading:
        counts = [
            (count, measure)
            for measure in self._known.values()
            if (count := measure.values.get(Metric.FLOW_FAILURES.value)) is not None and series in (PIPELINE, measure.series)
        ]
        if not counts:
            return Reading(None, why="no flow has run yet" if series == PIPELINE else f"the flow {series} has not run yet")
        most, worst = max(counts, key=lambda found: (found[0], found[1].at_us, found[1].series))
        return Reading(most, why=f"{worst.series}: {worst.why}" if most and worst.why else worst.series if most else "")


def measured_lines(measures: Sequence[Measure]) -> list[bytes]:
    """The journal lines of measures."""
    return [
        json.dumps(
            {"e": f"sw.{MEASURED}", "rows": [measure_row(measure) for measure in measures[at : at + _MOST_IN_A_LINE]]},
            separators=(",", ":"),
        ).encode()
        for at in range(0, len(measures), _MOST_IN_A_LINE)
    ]
