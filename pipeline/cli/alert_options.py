"""A rule's fields as options, the same for adding one and for trying one on the past."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import reduce
from typing import Any, TypeVar

import click

from pipeline.errors import UsageError

F = TypeVar("F", bound=Callable[..., object])

WHEN = "ISO time, UTC unless it says otherwise, such as 2026-11-22T14:00"

_UNITS = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}
_OPTIONS = (
    click.option("--timeframe", metavar="F", help="Bars that the metric is computed on, where it needs some."),
    click.option("--window", type=int, metavar="N", help="Bars of a return or a volume."),
    click.option("--lower", type=float, metavar="V", help="Lower end of a band; minus the threshold when left out."),
    click.option("--recover", type=float, metavar="V", help="Where a firing rule is over, when not at the threshold."),
    click.option("--for", "for_s", type=float, default=0.0, metavar="S", help="Seconds for which the condition must hold first."),
    click.option("--keep-firing-for", "keep_s", type=float, default=0.0, metavar="S", help="Seconds for which the recovery must hold."),
    click.option(
        "--evaluate", default="every_update", show_default=True, metavar="WHEN", help="every_update, bar_close or once."
    ),
    click.option("--severity", default="warning", show_default=True, metavar="S", help="info, warning or critical."),
    click.option("--channel", "channels", multiple=True, metavar="NAME", help="Channel that is told, several times if need be; else all."),
    click.option("--label", "labels", multiple=True, metavar="NAME=TEXT", help="Label that events carry, several times if need be."),
    click.option("--note", default="", metavar="TEXT", help="Text that events carry."),
    click.option("--expires", metavar="T", help=f"When the rule switches itself off: {WHEN}."),
    click.option("--active-hours", metavar="HOURS", help="When people are told, such as 'mon-fri 08:00-17:30 Europe/Berlin'."),
    click.option("--disabled", is_flag=True, help="Make it switched off."),
    click.option("--name", metavar="TEXT", help="What people call it; made from the rule when left out."),
    click.option("--id", "rule_id", metavar="ID", help="Its id; a rule of the same id is replaced. Made up when left out."),
)  # fmt: skip


def rule_options(command: F) -> F:
    """Add the options of a rule's fields."""
    return reduce(lambda made, option: option(made), reversed(_OPTIONS), command)


def rule_row(given: Mapping[str, Any]) -> dict[str, object]:
    """The fields of a rule that arguments and options describe; ``rule_id`` and ``name`` None when they were left out.

    Raises:
        UsageError: when a label or the expiry is not understood.
    """
    from pipeline.jobs.choice import parsed_time
    from pipeline.jobs.rule_file import microseconds

    expires = parsed_time(given["expires"], "--expires")
    return {
        "rule_id": given["rule_id"],
        "name": given["name"],
        "target": given["target"],
        "metric": given["metric"],
        "condition": given["condition"],
        "threshold": given["threshold"],
        "lower_threshold": given["lower"],
        "recovery_threshold": given["recover"],
        "timeframe": given["timeframe"],
        "window": given["window"],
        "for_s": given["for_s"],
        "keep_firing_for_s": given["keep_s"],
        "evaluate": given["evaluate"],
        "severity": given["severity"],
        "channels": list(given["channels"]),
        "labels": dict(map(_label, given["labels"])),
        "note": given["note"],
        "expires_at_us": microseconds(expires) if expires else None,
        "active_hours": given["active_hours"],
        "enabled": not given["disabled"],
    }


def duration(text: str) -> int:
    """A length of time such as ``15m``, in seconds.

    Raises:
        UsageError: when it is not understood.
    """
    match = re.fullmatch(r"(\d{1,6})([smhd])", text.strip())
    if match is None or not int(match[1]):
        msg = f"length of time {text!r} is not understood; expected such as 30s, 15m, 4h or 1d"
        raise UsageError(msg)
    return int(match[1]) * _UNITS[match[2]]


def _label(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        msg = f"label {text!r} is not understood; expected NAME=TEXT, such as team=desk"
        raise UsageError(msg)
    return name.strip(), value.strip()
