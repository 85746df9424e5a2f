"""The channels that the settings name, and those that installed packages bring."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from pipeline.errors import SettingsError
from pipeline.notify.callback import CallbackChannel
from pipeline.notify.channel import Channel
from pipeline.notify.channels_file import Defaults, read_channels, read_channels_file
from pipeline.notify.webhook import WebhookChannel
from pipeline.settings import Settings

ENTRY_POINTS = "spreadwatch.alerts"
"""Group of entry points whose functions are told of alerts; the name of each is the channel's."""


def channels_of(settings: Settings) -> Mapping[str, Channel]:
    """The channels by name, as the settings and the installed packages have them.

    Raises:
        SettingsError: when a value cannot be used.
    """
    return configured_channels(
        webhook_url=settings.webhook_url.get_secret_value() if settings.webhook_url else None,
        webhook_secret=settings.webhook_secret.get_secret_value() if settings.webhook_secret else None,
        alert_callback=settings.alert_callback,
        channels_file=settings.channels_file,
        channels=settings.channels.get_secret_value() if settings.channels else None,
        plugins=entry_points(group=ENTRY_POINTS),
        defaults=Defaults(
            group_s=settings.alert_group_s,
            repeat_s=settings.alert_repeat_s,
            rate_per_minute=settings.alert_rate_per_minute,
            private=settings.webhook_private,
        ),
    )


def configured_channels(
    *,
    webhook_url: str | None = None,
    webhook_secret: str | None = None,
    alert_callback: str | None = None,
    channels_file: Path | None = None,
    channels: str | None = None,
    plugins: Iterable[EntryPoint] = (),
    defaults: Defaults | None = None,
) -> Mapping[str, Channel]:
    """The channels by name; empty when none is configured.

    Args:
        webhook_url: setting of this name, uncovered: channel ``webhook``.
        webhook_secret: setting of this name, uncovered.
        alert_callback: setting of this name; imported here: channel ``callback``.
        channels_file: setting of this name.
        channels: setting of this name, uncovered.
        plugins: entry points of the group ``spreadwatch.alerts``; imported here.
        defaults: how channels are used that do not say it.

    Raises:
        SettingsError: when a value cannot be used, or two channels have one name.
    """
    defaults = defaults or Defaults()
    found: list[Channel] = []
    if webhook_url is not None:
        found.append(WebhookChannel(webhook_url, webhook_secret, private=defaults.private, policy=defaults.programs))
    if alert_callback is not None:
        found.append(CallbackChannel(alert_callback, policy=defaults.programs))
    if channels_file is not None:
        found += read_channels_file(channels_file, defaults)
    if channels is not None:
        found += read_channels(channels, defaults)
    found += [CallbackChannel(plugin.value, name=plugin.name, policy=defaults.programs) for plugin in plugins]
    names = [channel.name for channel in found]
    for name in names:
        if names.count(name) > 1:
            msg = f"channel {name!r} is configured twice; give one of them another name"
            raise SettingsError(msg)
    return {channel.name: channel for channel in found}
