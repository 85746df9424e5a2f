"""The warehouse's one loop body: journal in, tables out, everything of a block in one transaction."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor

from pipeline.errors import JournalError
from pipeline.journal import Position, Reader, Writer, open_journal
from pipeline.model.pair import Pair
from pipeline.model.universe import PairSpec, Universe
from pipeline.profile import Profile, publish_universe, read_universe
from pipeline.settings import Settings
from pipeline.store import LocalWarehouse
from pipeline.store.alert_inputs import AlertInputs
from pipeline.store.archiving import Archiver
from pipeline.store.landing import LandingStore
from pipeline.store.live import LiveStore
from pipeline.store.warehouse import OpenTransaction
from pipeline.venues import Batch, venue
from pipeline.warehouse.alerting import AlertEngine
from pipeline.warehouse.control import Controls, activate_line, request_line
from pipeline.warehouse.intake import Intake
from pipeline.warehouse.landing import CAPTURE, CONTROL, Lander
from pipeline.warehouse.measured import measured_lines
from pipeline.warehouse.orders import OrderDesk
from pipeline.warehouse.signals import SignalWindows, SignalWriter
from pipeline.warehouse.turns import Pace, Turns

_log = logging.getLogger(__name__)

_SOURCES_EVERY_S = 1.0
_REQUESTS_EVERY_S = 0.2
_MODELS_EVERY_S = 1.0
_ORDERS_EVERY_S = 0.2
_PRUNE_EVERY_S = 60.0
_HEALTH_EVERY_S = 1.0


class Engine:
    """Lands what the journal has, and everything that follows from it. Driven by one thread."""

    def __init__(self, profile: Profile, settings: Settings, warehouse: LocalWarehouse, channels: Collection[str] = ()) -> None:
        self._profile = profile
        self._settings = settings
        connection = warehouse.connection
        self._landing = LandingStore(connection, profile.archive)
        self._live = LiveStore(connection)
        self._landing.set_timeframes(settings.parsed_timeframes)
        self._lander = Lander(
            self._landing,
            profile,
            venue(),
            lateness_ms=settings.lateness_ms,
            halt_after_s=settings.halt_after_s,
            silent_after_s=settings.stale_after_s,
        )
        inside = OpenTransaction(connection)
        windows = SignalWindows(settings.zscore_window, settings.correlation_window, settings.max_fill)
        frames = settings.parsed_timeframes
        self._signals = SignalWriter(self._live, inside, frames, windows, lateness_ms=settings.lateness_ms)
        inputs = AlertInputs(connection)
        self._alerts = AlertEngine(self._live, inputs, inside, windows, frames, tuple(channels), lateness_ms=settings.lateness_ms)
        self._orders = OrderDesk(Archiver(connection, profile), self._lander.archive_changed)
        self._controls = Controls(self._live, self._lander, self._signals, self._alerts, self._first_universe())
        self._alerts.set_universe(self._controls.universe)
        self._journal = open_journal(profile, settings)
        self._control: Writer = self._journal.writer(CONTROL)
        # Reading ahead has readers of its own, in a thread of its own; these only look.
        self._readers: dict[str, Reader] = {}
        self._intakes: dict[str, Intake] = {}
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="intake")
        self._turns = Turns()
        self._paces: dict[str, Pace] = {}
        self._catching_up = False
        self._due = dict.fromkeys(("sources", "requests", "models", "measures", "orders", "prune", "health"), 0.0)
        venue().decode_batch(b"")  # a venue may load compiled code: now rather than when live lines wait
        publish_universe(profile, self._controls.universe)

    def close(self) -> None:
        """Release the journal; an order that is being carried out is carried out again next time."""
        self._orders.close()
        self._control.close()
        for intake in self._intakes.values():
            intake.close()
        self._executor.shutdown()
        for reader in self._readers.values():
            reader.close()
        self._journal.close()

    @property
    def universe(self) -> Universe:
        """What the profile watches now."""
        return self._controls.universe

    def run_once(self) -> bool:
        """Land a round of blocks (`Turns`), then look after requests and models; False when there was nothing to land."""
        if self._is_due("sources", _SOURCES_EVERY_S):
            self._find_sources()
        landed = self._land_round()
        if self._is_due("requests", _REQUESTS_EVERY_S):
            self.take_requests()
        if self._is_due("models", _MODELS_EVERY_S):
            self._activate_models()
        if self._is_due("measures", _MODELS_EVERY_S):
            self.journal_measures()
        if self._is_due("orders", _ORDERS_EVERY_S):
            self._orders.look()
        if self._is_due("prune", _PRUNE_EVERY_S):
            self._prune()
        if self._is_due("health", _HEALTH_EVERY_S):
            self._look_at_health()
        return landed

    def land_everything(self) -> int:
        """Land until nothing is left; returns the number of lines. For one-shot commands."""
        lines = 0
        while landed := self.land_next():
            lines += landed
        return lines

    def land_next(self) -> int:
        """Land one block of each source, as large as they may be; returns the number of lines."""
        self._find_sources()
        return sum(self._land(source, self._settings.batch_max_lines) for source in self._intakes)

    def land_block(self, source: str, batch: Batch, position: Position) -> None:
        """Land decoded lines of a source, which goes on at ``position``: everything that follows from them in one transaction."""
        version = self._controls.universe.version
        try:
            with self._landing.transaction():
                landed = self._lander.land(source, batch, position, time.time_ns() // 1_000)
                for own in landed.own:
                    self._controls.apply(own, landed.clock)
                touched_us = [*(bar.ts_us for bar in landed.bars), *self._lander.restated_us]
                self._signals.landed(landed.clock, self._controls.universe, touched_us)
                self._alerts.landed(landed)
        except BaseException:
            self._lander.forget()
            self._controls.forget()
            self._signals.forget()
            self._alerts.forget()
            raise
        self._lander.committed(time.time_ns())
        if self._controls.universe.version != version:
            publish_universe(self._profile, self._controls.universe)

    # ------------------------------------------------------------------

    def _land_round(self) -> bool:
        landed = False
        for source in self._turns.first(self._intakes):
            landed = self._land(source, self._settings.batch_max_lines) > 0 or landed
        for source in self._turns.others(self._intakes, catching_up=self._catching_up):
            pace, began = self._paces[source], time.monotonic()
            if lines := self._land(source, pace.lines):
                pace.took(lines, time.monotonic() - began)
                self._turns.took(source)
                return True
        return landed

    def _land(self, source: str, max_lines: int) -> int:
        """Land the next block of a source; returns its lines, 0 when there was none."""
        block = self._intakes[source].take(self._lander.position(source), max_lines)
        if source == CAPTURE:
            self._catching_up = block is not None and block.behind
        if block is None:
            return 0
        self.land_block(source, block.batch, block.position)
        return block.batch.lines

    def _look_at_health(self) -> None:
        """What waits in the journal; and the rows of ``stream_health`` when no line of capture's has them written."""
        streams = self._lander.streams
        for source, reader in self._readers.items():
            try:
                streams.backlog = {**streams.backlog, source: reader.backlog_bytes(self._lander.position(source))}
            except (JournalError, OSError) as error:  # a segment that is sealed or pruned at this moment: next time
                _log.debug("backlog unknown", extra={"source": source, "why": str(error)})
        if streams.overdue:
            with self._landing.transaction():
                streams.refresh()

    def _find_sources(self) -> None:
        for source in self._journal.sources():
            if source not in self._readers:
                self._readers[source] = self._journal.reader(source)
                self._intakes[source] = Intake(self._journal.reader(source), venue().decode_batch, self._executor)
                self._paces[source] = Pace(self._settings.batch_max_lines)

    def apply_requests(self) -> None:
        """Take the requests that wait and apply them at once, landing nothing else; for commands without a running warehouse."""
        self.take_requests()
        self._find_sources()
        while CONTROL in self._intakes and self._land(CONTROL, self._settings.batch_max_lines):
            pass

    def take_requests(self) -> None:
        """Write the requests that wait into the journal; they are applied when it is landed."""
        waiting = self._live.waiting_requests()
        if not waiting:
            return
        for request in waiting:
            self._control.append(time.time_ns(), request_line(request))
        self._control.commit()
        self._live.take_requests([request.request_id for request in waiting])

    def journal_measures(self) -> None:
        """Put what flows have measured since, of what alert rules watch, into the journal, and land it at once."""
        if self._lander.clock.time_us == 0:
            return
        lines = measured_lines(self._alerts.unmeasured())
        for line in lines:
            self._control.append(time.time_ns(), line)
        if lines:
            self._control.commit()
            self._find_sources()
            self._land(CONTROL, self._settings.batch_max_lines)

    def _activate_models(self) -> None:
        if self._lander.clock.time_us == 0:
            return
        candidates = self._live.candidates(self._controls.universe.pairs)
        for candidate in candidates:
            self._control.append(time.time_ns(), activate_line(candidate))
        if candidates:
            self._control.commit()
            # Landed at once, so that the same model is not put forward again.
            self._find_sources()
            self._land(CONTROL, self._settings.batch_max_lines)

    def _prune(self) -> None:
        self._landing.prune()
        oldest_ns = time.time_ns() - self._settings.journal_retention_hours * 3_600 * 1_000_000_000
        for source, reader in self._readers.items():
            reader.prune(oldest_ns, self._lander.position(source))
        self._orders.sweep()

    def _first_universe(self) -> Universe:
        """The universe of the database; in a new one what the profile's file or the settings say."""
        found = self._live.universe() or read_universe(self._profile)
        if found is None:
            method, lookback = self._settings.primary_method, self._settings.lookback
            specs = tuple(PairSpec(Pair.parse(text), method, lookback) for text in self._settings.pairs)
            legs = [leg for spec in specs for leg in (spec.pair.y, spec.pair.x)]
            found = Universe(tuple(dict.fromkeys((*self._settings.symbols, *legs))), specs, 1)
        self._live.set_universe(found)
        return found

    def _is_due(self, name: str, every_s: float) -> bool:
        now = time.monotonic()
        if now < self._due[name]:
            return False
        self._due[name] = now + every_s
        return True
