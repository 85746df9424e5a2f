"""Our own lines in the journal: what people asked for and which models went live, so that a rebuild knows them.

A request is first written into the journal, then applied when that line is landed: one path for live
running and for a rebuild. A line that comes twice (the process died in between) is applied once.
"""

from __future__ import annotations

import json
import logging
from dataclasses import replace
from typing import Any, assert_never

from pipeline.errors import UsageError
from pipeline.model.event import Own
from pipeline.model.pair import Pair
from pipeline.model.timeframe import Timeframe
from pipeline.model.universe import PairSpec, Universe
from pipeline.store.alert_inputs import parse_measure
from pipeline.store.landing import JournalClock
from pipeline.store.live import Candidate, LiveStore, StoredRequest
from pipeline.store.requests import (
    AcknowledgeAlert,
    AddPair,
    AddSymbol,
    Change,
    DeleteRule,
    EnableRule,
    MuteAlert,
    PutRule,
    RemovePair,
    RemoveSymbol,
    ResendEvent,
    SnoozeAlert,
    parse_change,
)
from pipeline.warehouse.alerting import AlertEngine
from pipeline.warehouse.landing import Lander
from pipeline.warehouse.signals import SignalWriter

_log = logging.getLogger(__name__)

REQUEST = "request"
ACTIVATE = "activate"
GAP = "gap"


def request_line(request: StoredRequest) -> bytes:
    """The journal line of a request."""
    return json.dumps(
        {"e": f"sw.{REQUEST}", "request_id": request.request_id, "kind": request.kind, "payload": request.payload}, separators=(",", ":")
    ).encode()


def activate_line(candidate: Candidate) -> bytes:
    """The journal line of a model that goes live."""
    content = {"e": f"sw.{ACTIVATE}", "model_id": candidate.model_id, "pair": str(candidate.pair), "timeframe": candidate.timeframe}
    return json.dumps(content, separators=(",", ":")).encode()


class Controls:
    """Applies our own journal lines inside the landing transaction."""

    def __init__(self, store: LiveStore, lander: Lander, signals: SignalWriter, alerts: AlertEngine, universe: Universe) -> None:
        self._store = store
        self._lander = lander
        self._signals = signals
        self._alerts = alerts
        self.universe = universe

    def forget(self) -> None:
        """Take the universe from the tables again, after a transaction that did not commit."""
        self.universe = self._store.universe() or self.universe
        self._alerts.set_universe(self.universe)

    def apply(self, own: Own, clock: JournalClock) -> None:
        """Apply one line; what cannot be applied is logged, never raised: it would come back for ever."""
        try:
            self._apply(own, json.loads(own.payload), clock)
        except (KeyError, TypeError, ValueError, UsageError) as error:
            _log.warning("own line cannot be applied", extra={"kind": own.name, "error": repr(error)})

    def _apply(self, own: Own, content: dict[str, Any], clock: JournalClock) -> None:
        match own.name:
            case "request":
                self._request(content["request_id"], content["kind"], content["payload"], clock)
            case "activate":
                self._activate(Candidate(content["model_id"], Pair.parse(content["pair"]), content["timeframe"]), clock)
            case "gap":
                symbol = self._lander.settle_gap(content["gap_id"], content["state"], own.recv_ns // 1_000, content.get("detail", ""))
                if symbol is not None:
                    self._alerts.gap_settled(symbol)
            case "measured":
                self._alerts.measured([parse_measure(row) for row in content["rows"]])
            case _:
                _log.warning("own line of an unknown kind", extra={"kind": own.name})

    def _activate(self, candidate: Candidate, clock: JournalClock) -> None:
        frame = Timeframe.parse(candidate.timeframe)
        # Effective from the first bar that opens after the activation is on record.
        self._store.activate(candidate, activated_us=clock.time_us, active_from_us=frame.bucket_us(clock.time_us) + frame.us)
        self._alerts.model_changed(candidate.pair, frame)
        self._signals.models_changed()

    def _request(self, request_id: str, kind: str, payload: str, clock: JournalClock) -> None:
        if self._store.was_applied(request_id):
            return
        try:
            self._change(parse_change(kind, payload), clock)
        except UsageError as error:
            outcome = f"refused: {error}"
        else:
            outcome = "applied"
        self._store.log_request(request_id, kind, outcome)
        _log.info("request", extra={"kind": kind, "outcome": outcome})

    def _change(self, change: Change, clock: JournalClock) -> None:
        now_us = clock.time_us
        match change:
            case PutRule(rule):
                self._alerts.put(rule.to_json(), now_us)
            case DeleteRule(rule_id):
                self._alerts.delete(rule_id, now_us)
            case EnableRule(rule_id, enabled):
                self._alerts.enable(rule_id, enabled=enabled, now_us=now_us)
            case AcknowledgeAlert(rule_id, series, by):
                self._alerts.acknowledge(rule_id, series, by, now_us)
            case SnoozeAlert(rule_id, series, until_us, by):
                self._alerts.snooze(rule_id, series, until_us, by, now_us)
            case MuteAlert(rule_id, series, muted, by):
                self._alerts.mute(rule_id, series, by, now_us, muted=muted)
            case ResendEvent(event_id, channel):
                self._resend(event_id, channel)
            case AddSymbol() | RemoveSymbol() | AddPair() | RemovePair():
                self._set_universe(changed_universe(self.universe, change), now_us)
            case _:
                assert_never(change)

    def _resend(self, event_id: str, channel: str | None) -> None:
        """Deliver again what was given up.

        Raises:
            UsageError: when nothing was.
        """
        if not self._store.resend(event_id, channel):
            where = f" to {channel}" if channel else ""
            what = "no delivery" if event_id == "*" else f"no delivery of event {event_id}"
            msg = f"{what}{where} was given up, so that there is nothing to send again"
            raise UsageError(msg)

    def _set_universe(self, universe: Universe, now_us: int) -> None:
        self._store.set_universe(universe)
        self.universe = universe
        self._alerts.set_universe(universe, now_us)


def changed_universe(universe: Universe, change: AddSymbol | RemoveSymbol | AddPair | RemovePair) -> Universe:
    """The universe after a change, one version on.

    Raises:
        UsageError: when a pair still needs the symbol to be removed, or what is to be removed is not there.
    """
    symbols, pairs, uploaded = universe.symbols, universe.pairs, universe.uploaded
    match change:
        case AddSymbol(symbol, uploaded=True):
            if symbol in symbols:
                msg = f"symbol {symbol} is followed at the venue; upload under another name, or remove it from the universe first"
                raise UsageError(msg)
            uploaded = (*uploaded, symbol) if symbol not in uploaded else uploaded
        case AddSymbol(symbol):
            if symbol in uploaded:
                msg = f"symbol {symbol} holds data that was uploaded; no venue feeds it, so it cannot be followed"
                raise UsageError(msg)
            symbols = (*symbols, symbol) if symbol not in symbols else symbols
        case RemoveSymbol(symbol):
            if symbol not in universe.known:
                msg = f"symbol {symbol} is not followed; `spreadwatch universe list` shows those that are"
                raise UsageError(msg)
            symbols = tuple(kept for kept in symbols if kept != symbol)
            uploaded = tuple(kept for kept in uploaded if kept != symbol)
        case AddPair(spec):
            followed = (leg for leg in (spec.pair.y, spec.pair.x) if leg not in uploaded)
            symbols = tuple(dict.fromkeys((*symbols, *followed)))
            pairs = (*_without(pairs, spec.pair), spec)
        case RemovePair(pair):
            if len(_without(pairs, pair)) == len(pairs):
                msg = f"pair {pair} is not modelled; `spreadwatch universe list` shows those that are"
                raise UsageError(msg)
            pairs = _without(pairs, pair)
    return replace(universe, symbols=symbols, pairs=pairs, uploaded=uploaded, version=universe.version + 1)


def _without(pairs: tuple[PairSpec, ...], pair: Pair) -> tuple[PairSpec, ...]:
    return tuple(spec for spec in pairs if spec.pair != pair)
