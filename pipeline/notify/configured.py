"""The channels that the settings name."""

from __future__ import annotations

from collections.abc import Mapping

from pipeline.notify.callback import CallbackChannel
from pipeline.notify.channel import Channel
from pipeline.notify.webhook import WebhookChannel


def configured_channels(*, webhook_url: str | None, webhook_secret: str | None, alert_callback: str | None) -> Mapping[str, Channel]:
    """The channels by name; empty when none is configured.

    Args:
        webhook_url: setting of this name, uncovered.
        webhook_secret: setting of this name, uncovered.
        alert_callback: setting of this name; imported here.

    Raises:
        SettingsError: when a value cannot be used.
    """
    channels: list[Channel] = []
    if webhook_url is not None:
        channels.append(WebhookChannel(webhook_url, webhook_secret))
    if alert_callback is not None:
        channels.append(CallbackChannel(alert_callback))
    return {channel.name: channel for channel in channels}
