"""The warehouse process: the one that opens the DuckDB file. It lands, keeps live tables, serves SQL and sends alerts."""

from __future__ import annotations

import asyncio
import logging
import secrets
import threading
from collections.abc import Mapping

from pipeline.errors import JournalUnavailable, WarehouseBusy
from pipeline.journal import journal_answers
from pipeline.notify import Channel, channels_of
from pipeline.profile import Profile
from pipeline.settings import Settings
from pipeline.store import LocalWarehouse, open_local, quack
from pipeline.store.access import Gatekeeper
from pipeline.store.outbox import OutboxStore
from pipeline.store.warehouse import publish_endpoint, withdraw_endpoint
from pipeline.warehouse.delivery import deliver_forever
from pipeline.warehouse.engine import Engine
from pipeline.warehouse.metrics import serve_metrics

_log = logging.getLogger(__name__)

_PATIENCE_S = 20.0  # with a command that has the file open: it does so only while nobody serves it
_IDLE_S = 0.01  # how often the journal's published position is looked at when there is nothing to land: a 16-byte read
_AWAY_S = 2.0  # how soon a journal whose server was away is read again


async def run(profile: Profile, settings: Settings, stop: asyncio.Event) -> None:
    """Run until ``stop`` is set.

    Raises:
        WarehouseBusy: when another process holds the profile's database.
        StoreError: when the port cannot be listened on.
    """
    warehouse = await _open(profile, stop)
    try:
        await _serve(profile, settings, warehouse, stop)
    finally:
        await asyncio.to_thread(warehouse.close)
        _log.info("warehouse stopped")


async def _open(profile: Profile, stop: asyncio.Event) -> LocalWarehouse:
    """Open the file; a command that holds it for a moment is waited for."""
    until = asyncio.get_running_loop().time() + _PATIENCE_S
    while True:
        try:
            return await asyncio.to_thread(open_local, profile)
        except WarehouseBusy:
            if stop.is_set() or asyncio.get_running_loop().time() > until:
                raise
            await asyncio.sleep(_PATIENCE_S / 50)


async def _serve(profile: Profile, settings: Settings, warehouse: LocalWarehouse, stop: asyncio.Event) -> None:
    channels = channels_of(settings)
    if not await journal_answers(profile, settings, stop):
        return
    engine = await asyncio.to_thread(Engine, profile, settings, warehouse, tuple(channels))
    host, port = settings.host, settings.warehouse_port
    endpoint = publish_endpoint(profile, host, port)
    gatekeeper = Gatekeeper({token: role for role, token in endpoint.tokens.items()})
    server = warehouse.connection.cursor()
    try:
        await asyncio.to_thread(quack.serve, server, host=host, port=port, gatekeeper=gatekeeper, server_token=secrets.token_urlsafe(24))
        _log.info("warehouse serves", extra={"host": host, "port": port})
        metrics = asyncio.create_task(serve_metrics(warehouse, profile, host=host, port=settings.metrics_port, stop=stop))
        try:
            await _work(warehouse, engine, channels, stop, settings.outbox_keep_days)
        finally:
            stop.set()
            await metrics
    finally:
        withdraw_endpoint(profile)
        await asyncio.to_thread(quack.stop, server, host=host, port=port)
        await asyncio.to_thread(engine.close)


async def _work(warehouse: LocalWarehouse, engine: Engine, channels: Mapping[str, Channel], stop: asyncio.Event, keep_days: int) -> None:
    ended = threading.Event()

    def land() -> None:
        away = False
        while not ended.is_set():
            try:
                pause_s = 0.0 if engine.run_once() else _IDLE_S
                if away:
                    _log.warning("journal is read again")
                away = False
            except JournalUnavailable as error:  # what is landed is served meanwhile
                if not away:
                    _log.error("journal cannot be read", extra={"why": str(error)})
                away, pause_s = True, _AWAY_S
            if pause_s:
                ended.wait(pause_s)

    landing = asyncio.create_task(asyncio.to_thread(land))
    delivery = asyncio.create_task(deliver_forever(OutboxStore(warehouse.connection), channels, stop, keep_days=keep_days))
    stopping = asyncio.create_task(stop.wait())
    try:
        done, _ = await asyncio.wait({landing, delivery, stopping}, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        ended.set()
        stop.set()
        await asyncio.gather(landing, delivery, stopping, return_exceptions=True)
