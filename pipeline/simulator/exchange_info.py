"""Body of ``GET /fapi/v1/exchangeInfo``."""

from __future__ import annotations

import json
from collections.abc import Sequence

from pipeline.simulator.frames import decimal_text
from pipeline.simulator.universe import Instrument

_ORDER_TYPES = ["LIMIT", "MARKET", "STOP", "STOP_MARKET", "TAKE_PROFIT", "TAKE_PROFIT_MARKET", "TRAILING_STOP_MARKET"]
_ONBOARD_MS = 1_577_836_800_000
_DELIVERY_MS = 4_133_404_800_000


def exchange_info(instruments: Sequence[Instrument], now_ms: int) -> str:
    """What the venue says about itself and its symbols, with tick and lot sizes in the filters."""
    content = {
        "timezone": "UTC",
        "serverTime": now_ms,
        "futuresType": "U_MARGINED",
        "rateLimits": [
            {"rateLimitType": "REQUEST_WEIGHT", "interval": "MINUTE", "intervalNum": 1, "limit": 2400},
            {"rateLimitType": "ORDERS", "interval": "MINUTE", "intervalNum": 1, "limit": 1200},
            {"rateLimitType": "ORDERS", "interval": "SECOND", "intervalNum": 10, "limit": 300},
        ],
        "exchangeFilters": [],
        "assets": [{"asset": "USDT", "marginAvailable": True, "autoAssetExchange": "-10000"}],
        "symbols": [_symbol(instrument) for instrument in instruments],
    }
    return json.dumps(content, separators=(",", ":"))


def _symbol(instrument: Instrument) -> dict[str, object]:
    tick = decimal_text(instrument.tick_units, instrument.price_decimals)
    lot = decimal_text(instrument.lot_units, instrument.qty_decimals)
    return {
        "symbol": instrument.symbol,
        "pair": instrument.symbol,
        "contractType": "PERPETUAL",
        "deliveryDate": _DELIVERY_MS,
        "onboardDate": _ONBOARD_MS,
        "status": "TRADING",
        "maintMarginPercent": "2.5000",
        "requiredMarginPercent": "5.0000",
        "baseAsset": instrument.base,
        "quoteAsset": "USDT",
        "marginAsset": "USDT",
        "pricePrecision": instrument.price_decimals,
        "quantityPrecision": instrument.qty_decimals,
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "underlyingType": "COIN",
        "underlyingSubType": [],
        "settlePlan": 0,
        "triggerProtect": "0.0500",
        "liquidationFee": "0.012000",
        "marketTakeBound": "0.05",
        "filters": [
            {"minPrice": tick, "maxPrice": "1000000", "filterType": "PRICE_FILTER", "tickSize": tick},
            {"stepSize": lot, "filterType": "LOT_SIZE", "maxQty": "10000000", "minQty": lot},
            {"stepSize": lot, "filterType": "MARKET_LOT_SIZE", "maxQty": "1000000", "minQty": lot},
            {"limit": 200, "filterType": "MAX_NUM_ORDERS"},
            {"limit": 10, "filterType": "MAX_NUM_ALGO_ORDERS"},
            {"notional": "5", "filterType": "MIN_NOTIONAL"},
            {"multiplierDown": "0.8500", "multiplierUp": "1.1500", "multiplierDecimal": "4", "filterType": "PERCENT_PRICE"},
        ],
        "orderTypes": _ORDER_TYPES,
        "timeInForce": ["GTC", "IOC", "FOK", "GTX"],
    }
