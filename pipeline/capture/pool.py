"""Every connection of this capture: streams are spread over them, and follow the universe."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping

from pipeline.capture.intake import Intake
from pipeline.capture.keeper import Keeper, Policy
from pipeline.errors import SettingsError
from pipeline.venues import Venue
from pipeline.venues.admission import Admission
from pipeline.venues.session import Plan, plan_connections


class Pool:
    """At least one connection for each route of the venue that has streams, and as many as their number needs."""

    def __init__(
        self,
        urls: Mapping[str, str],
        venue: Venue,
        intake: Intake,
        policy: Policy,
        *,
        tasks: asyncio.TaskGroup,
        admission: Admission | None = None,
    ) -> None:
        self._urls = urls
        self._venue = venue
        self._intake = intake
        self._policy = policy
        self._tasks = tasks
        self._admission = admission or Admission()
        self._plans: tuple[Plan, ...] = ()
        self._keepers: dict[int, Keeper] = {}  # by the place of its plan
        self._running: dict[Keeper, asyncio.Task[None]] = {}
        self._reconnects_before = 0

    @property
    def keepers(self) -> list[Keeper]:
        """What keeps the connections, in the order of their places."""
        return [self._keepers[place] for place in sorted(self._keepers)]

    @property
    def reconnects(self) -> int:
        """Connections lost since capture started."""
        return self._reconnects_before + sum(keeper.reconnects for keeper in self._keepers.values())

    @property
    def waiting(self) -> int:
        """Frames that have been received and not yet been taken, over all connections."""
        return sum(keeper.waiting for keeper in self._keepers.values())

    def want(self, streams: Iterable[str]) -> None:
        """Follow exactly these streams from now on; what is followed already stays where it is.

        Raises:
            SettingsError: when a stream needs a route that has no address.
        """
        wanted = tuple(streams)
        plans = plan_connections(wanted, self._venue.route, current=self._plans)
        for plan in plans:
            if plan.route not in self._urls:
                msg = f"{plan.streams[0]} needs the route {plan.route!r}, which has no address; expected one of {', '.join(self._urls)}"
                raise SettingsError(msg)
        self._plans = plans
        self._intake.watch(wanted)
        for place, plan in enumerate(plans):
            keeper = self._keepers.get(place)
            if keeper is None and plan.streams:
                keeper = self._keepers[place] = self._keeper(place, plan.route)
                keeper.want(plan.streams)
                self._running[keeper] = self._tasks.create_task(keeper.run())
            elif keeper is not None and not plan.streams:
                self._reconnects_before += keeper.reconnects
                self._running.pop(self._keepers.pop(place)).cancel()
            elif keeper is not None and plan.streams != keeper.streams:
                keeper.want(plan.streams)

    def _keeper(self, place: int, route: str) -> Keeper:
        return Keeper(route, self._urls[route], self._venue, self._intake, self._policy, admission=self._admission, place=place)

    async def close(self) -> None:
        """Close every connection."""
        running = list(self._running.values())
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
