"""Which deployments are served: each flow on its schedule, and each by hand with parameters."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pipeline.settings import Settings

if TYPE_CHECKING:
    from prefect import Flow
    from prefect.runner import Runner

SCHEDULED = "scheduled"
MANUAL = "manual"

# Schedules are counted from here, so that a restart does not move them.
_ANCHOR = datetime(2024, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Plan:
    """When a flow runs by itself.

    Attributes:
        flow: what runs.
        every_s: interval in seconds.
        offset_s: seconds after the full interval. Bars are complete a second after the minute; then come resample, and
            after it those that read its bars; so two runs seldom share the processor.
        first_s: seconds after the start of serving at which it runs for the first time.
        again_s: one more early run, so many seconds after the start; None for none.
    """

    flow: Flow[..., Any]
    every_s: int
    offset_s: int
    first_s: int
    again_s: int | None = None


def plans(settings: Settings) -> tuple[Plan, ...]:
    """The flows with their schedules."""
    from flows.archive import archive
    from flows.backfill import backfill
    from flows.check_quality import check_quality
    from flows.fit_pairs import fit_pairs
    from flows.liquidity import liquidity
    from flows.maintain import maintain
    from flows.repair_gaps import repair_gaps
    from flows.report import report
    from flows.resample import resample
    from flows.screen import screen

    return (
        # The minutes around the start are candlesticks only a while later.
        Plan(backfill, settings.backfill_every_s, 40, first_s=0, again_s=360),
        Plan(resample, settings.resample_every_s, 5, first_s=2),
        Plan(fit_pairs, settings.fit_every_s, 15, first_s=20),
        Plan(liquidity, settings.liquidity_every_s, 30, first_s=25),
        Plan(screen, settings.screen_every_s, 35, first_s=30),
        Plan(repair_gaps, settings.repair_every_s, 20, first_s=10),
        Plan(check_quality, settings.quality_every_s, 45, first_s=75),
        Plan(report, settings.report_every_s, 50, first_s=45),
        Plan(archive, settings.archive_every_s, 55, first_s=90),
        Plan(maintain, settings.maintain_every_s, 25, first_s=120),
    )


async def register(runner: Runner, planned: tuple[Plan, ...]) -> None:
    """Give the runner every deployment, and have each scheduled flow run soon.

    A scheduled run that comes while the one before it is still at work is cancelled: flows work from where the last one
    stopped, so the next does it all. Runs by hand wait for their turn instead.
    """
    from prefect.client.orchestration import get_client
    from prefect.client.schemas.objects import ConcurrencyLimitConfig, ConcurrencyLimitStrategy
    from prefect.schedules import Interval
    from prefect.states import Scheduled

    one_only = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.CANCEL_NEW)
    one_by_one = ConcurrencyLimitConfig(limit=1, collision_strategy=ConcurrencyLimitStrategy.ENQUEUE)
    async with get_client() as client:
        for plan in planned:
            deployment_id = await runner.aadd_flow(
                plan.flow,
                name=SCHEDULED,
                schedule=Interval(timedelta(seconds=plan.every_s), anchor_date=_ANCHOR + timedelta(seconds=plan.offset_s)),
                concurrency_limit=one_only,
                tags=[SCHEDULED],
                description=f"{plan.flow.description} Every {plan.every_s} s.",
            )
            await runner.aadd_flow(
                plan.flow,
                name=MANUAL,
                concurrency_limit=one_by_one,
                tags=[MANUAL],
                description=f"{plan.flow.description} By hand, with parameters.",
            )
            for after_s in filter(lambda after: after is not None, (plan.first_s, plan.again_s)):
                when = datetime.now(UTC) + timedelta(seconds=after_s or 0)
                await client.create_flow_run_from_deployment(deployment_id, state=Scheduled(scheduled_time=when), tags=["start"])
