"""Delivery of alert events to people and programs."""

from __future__ import annotations

from pipeline.notify.callback import CallbackChannel
from pipeline.notify.channel import MAX_ATTEMPTS, Channel, GroupBy, Policy
from pipeline.notify.channels_file import Defaults
from pipeline.notify.configured import ENTRY_POINTS, channels_of, configured_channels
from pipeline.notify.courier import Book, Courier, DeliveryResult, Outcome, delivery_plan
from pipeline.notify.delivery import deliver, deliver_due, outbox_rows
from pipeline.notify.message import Message, OutboxRow, lanes
from pipeline.notify.people import PeopleChannel
from pipeline.notify.quiet import Sifted, Standing, sift
from pipeline.notify.template import FIELDS, Template
from pipeline.notify.webhook import SIGNATURE_HEADER, WebhookChannel, signature

__all__ = [
    "ENTRY_POINTS",
    "FIELDS",
    "MAX_ATTEMPTS",
    "SIGNATURE_HEADER",
    "Book",
    "CallbackChannel",
    "Channel",
    "Courier",
    "Defaults",
    "DeliveryResult",
    "GroupBy",
    "Message",
    "OutboxRow",
    "Outcome",
    "PeopleChannel",
    "Policy",
    "Sifted",
    "Standing",
    "Template",
    "WebhookChannel",
    "channels_of",
    "configured_channels",
    "deliver",
    "deliver_due",
    "delivery_plan",
    "lanes",
    "outbox_rows",
    "sift",
    "signature",
]
