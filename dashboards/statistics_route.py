"""The statistics of a pair as a file, over HTTP: computed anew from what the address says, so the same address gives the same rows."""

from __future__ import annotations

import asyncio
import io
import logging
from datetime import UTC, datetime

from dashboards.compute import compute
from dashboards.downloads import OwnHandler
from dashboards.order import Order, parse_order, thresholds_of
from dashboards.parts.statistics_table import ROUTE, file_name
from dashboards.statistics import statistics
from pipeline.errors import AnalyticsError, SpreadwatchError, UsageError
from pipeline.store.export import Format, write_frames

_log = logging.getLogger(__name__)

PATTERN = f"/{ROUTE}"


class StatisticsHandler(OwnHandler):
    """``GET /statistics?pair=Y/X&timeframe=1m&from=...&to=...&method=ols&format=csv``, names and values as in the tab's own address."""

    async def get(self) -> None:
        """Send the file."""
        try:
            query = {name: self.get_query_argument(name) for name in self.request.query_arguments}
            order, thresholds = parse_order(query, self._context.settings), thresholds_of(query)
            form = Format(query.get("format") or "csv")
        except (UsageError, ValueError) as error:
            self.refuse(400, str(error))
            return
        loop = asyncio.get_running_loop()
        try:
            name, content = await loop.run_in_executor(self._context.workers, self._made, order, thresholds, form)
        except (UsageError, AnalyticsError) as error:
            self.refuse(400, str(error))
            return
        except SpreadwatchError as error:
            _log.warning("statistics could not be made", extra={"pair": str(order.pair), "error": str(error)})
            self.refuse(503, str(error))
            return
        self.set_header("Content-Type", form.media_type)
        self.set_header("Content-Disposition", f'attachment; filename="{name}"')
        self.set_header("Cache-Control", "no-store")
        self.set_header("X-Content-Type-Options", "nosniff")
        self.finish(content)

    def _made(self, order: Order, thresholds: tuple[float, float], form: Format) -> tuple[str, bytes]:
        study = self._context.link.use(lambda warehouse: compute(warehouse, order, now=datetime.now(UTC)))
        sink = io.BytesIO()
        write_frames([statistics(study, entry=thresholds[0], leave=thresholds[1])], form, sink)
        return file_name(study, form), sink.getvalue()
