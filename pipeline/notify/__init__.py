"""Delivery of alert events to people and programs."""

from __future__ import annotations

from pipeline.notify.callback import CallbackChannel
from pipeline.notify.channel import Channel
from pipeline.notify.configured import configured_channels
from pipeline.notify.delivery import MAX_ATTEMPTS, DeliveryResult, OutboxRow, Outcome, deliver, deliver_due, delivery_plan, outbox_rows
from pipeline.notify.webhook import SIGNATURE_HEADER, WebhookChannel, signature

__all__ = [
    "MAX_ATTEMPTS",
    "SIGNATURE_HEADER",
    "CallbackChannel",
    "Channel",
    "DeliveryResult",
    "OutboxRow",
    "Outcome",
    "WebhookChannel",
    "configured_channels",
    "deliver",
    "deliver_due",
    "delivery_plan",
    "outbox_rows",
    "signature",
]
