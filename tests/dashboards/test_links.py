"""An address is the whole state: a view that is opened with it says the same address."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import parse_qsl

import panel as pn
import pytest
from bokeh.document import Document

from dashboards.access.logins import Access
from dashboards.app import VIEWS
from dashboards.clock import Clock
from dashboards.hub import Hub
from dashboards.link import Link
from dashboards.session import Session
from dashboards.theme import palette
from dashboards.views.view import Context, Desk
from pipeline.model.event import TradeKind
from pipeline.model.pair import Pair
from pipeline.model.universe import PairSpec, Universe
from pipeline.profile import Kind, create_profile, publish_universe
from pipeline.settings import Settings
from pipeline.store import Role

# Material UI's button hands both on to Panel's.
pytestmark = pytest.mark.filterwarnings("ignore:Both 'name' and 'label' were provided:PendingDeprecationWarning")

LINKS = {
    "overview": "symbol=SOLUSDT&timeframe=5m",
    "pair": "pair=SOLUSDT/BTCUSDT&timeframe=5m&lookback=300&window=30&method=theil_sen&scale=log",
    "screener": "timeframe=5m",
    "alerts": "metric=spread&target=SOLUSDT/ETHUSDT&find=rich&event=firing&severity=critical&from=2026-01-01 10:00&to=2026-02-01",
    "data": "section=export&table=bars&symbol=ETHUSDT&timeframe=5m&from=2026-01-01 10:00&to=2026-02-01&format=parquet",
    "health": "",
}
"""Of each view a state that differs from what it begins with."""


@pytest.fixture(scope="module")
def desk_of(tmp_path_factory):
    """A desk with an address, over a profile whose warehouse does not run."""
    pn.extension()
    data = tmp_path_factory.mktemp("links")
    profile = create_profile(data, "demo", Kind.SIMULATED, TradeKind.AGGREGATE, created_at="2026-01-01T00:00:00+00:00")
    pairs = tuple(PairSpec(Pair.parse(text)) for text in ("ETHUSDT/BTCUSDT", "SOLUSDT/ETHUSDT"))
    publish_universe(profile, Universe(("BTCUSDT", "ETHUSDT", "SOLUSDT"), pairs, 1))
    settings = Settings(data_dir=data)
    workers = ThreadPoolExecutor(max_workers=1)
    context = Context(profile, settings, Link(profile, Role.READER), workers, Access(settings), prefect_url="http://127.0.0.1:9")
    hub, loop = Hub(Link(profile, Role.READER)), asyncio.new_event_loop()

    def made(query: dict[str, str]) -> Desk:
        return Desk(
            context=context,
            session=Session(hub, Document(), loop),
            colours=palette(dark=True),
            remember=lambda state: None,
            go=lambda name, state: None,
            toast=lambda kind, text: None,
            query=query,
            clock=Clock("Europe/Berlin"),
        )

    yield made
    workers.shutdown()
    loop.close()


@pytest.mark.parametrize("name", VIEWS)
def test_an_address_leads_to_itself(desk_of, name):
    link = dict(parse_qsl(LINKS[name]))
    view = VIEWS[name][1](desk_of({}))
    first = view.state()
    assert {**first, **link} != first or not link
    said = VIEWS[name][1](desk_of(link)).state()
    assert link.items() <= said.items()
    assert VIEWS[name][1](desk_of(said)).state() == said
    view.opened(link)  # the same by a way within the page
    assert view.state() == said
