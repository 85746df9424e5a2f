"""What people read: title and body of a message, from templates with named fields.

Fields are written ``$name`` or ``${name}``, a dollar sign ``$$``; there is nothing else to a template, so that it can do no harm.
"""

from __future__ import annotations

import json
import string
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from pipeline.errors import SettingsError

FIELDS: Mapping[str, str] = {
    "text": "the event in one line",
    "kind": "firing, resolved, nodata, error, restored, reminded; report for a notice",
    "severity": "info, warning or critical",
    "rule": "the rule's name",
    "rule_id": "the rule's id",
    "series": "the symbol, pair, pipeline or flow",
    "metric": "the metric, such as zscore",
    "timeframe": "its timeframe",
    "value": "the metric's value",
    "threshold": "the threshold that decided",
    "time": "when it happened, UTC",
    "since": "since when it fires, UTC",
    "phase": "where the alert stands now",
    "reason": "why there is no value, or what somebody did",
    "labels": "the rule's labels, as a=b, c=d",
    "note": "the rule's note",
    "model": "the model under which the value was computed",
    "event_id": "the event's id",
    "count": "events in the message",
    "more": "' (+ 4 more)' in a title when there are further events, else nothing",
}
"""The fields of a template. One that an event does not have is empty."""

TITLE = "$severity $kind: $series $rule$more"
BODY = "$text"


class Template:
    """A template that was checked.

    Args:
        text: the template.
        where: what it is, for the message.

    Raises:
        SettingsError: when it has a field that does not exist, or a dollar sign that begins none.
    """

    def __init__(self, text: str, where: str) -> None:
        self._template = string.Template(text)
        if not self._template.is_valid():
            msg = f"{where} has a $ that begins no field; write $$ for a dollar sign"
            raise SettingsError(msg)
        for name in self._template.get_identifiers():
            if name not in FIELDS:
                msg = f"{where} has a field ${name} that does not exist; choose from {', '.join(FIELDS)}"
                raise SettingsError(msg)

    def fill(self, fields: Mapping[str, str]) -> str:
        """The text with its fields."""
        return self._template.substitute({name: fields.get(name, "") for name in FIELDS})


def render(payload: str, title: Template, body: Template) -> tuple[str, str]:
    """Title and body of a message: the title of its first event, the bodies of all, each on a line of its own."""
    content = json.loads(payload)
    events = content["events"] if content.get("kind") == "group" else [content]
    more = f" (+ {len(events) - 1} more)" if len(events) > 1 else ""
    filled = [{**_fields(event), "count": str(len(events)), "more": more} for event in events]
    head = " ".join(title.fill(filled[0]).split())
    return head, "\n".join(body.fill(fields) for fields in filled)


def severity(payload: str) -> str:
    """The severity of a message; empty when it has none."""
    return str(json.loads(payload).get("severity") or "")


def _fields(event: Mapping[str, Any]) -> dict[str, str]:
    found = {name: str(event[name]) for name in FIELDS if event.get(name) is not None and not isinstance(event[name], dict | list)}
    for name in ("value", "threshold"):
        if isinstance(event.get(name), int | float):
            found[name] = f"{event[name]:.10g}"
    for name, key in (("time", "at_us"), ("since", "active_since_us")):
        if isinstance(event.get(key), int):
            found[name] = f"{datetime.fromtimestamp(0, UTC) + timedelta(microseconds=event[key]):%Y-%m-%d %H:%M:%S} UTC"
    labels = event.get("labels")
    found["labels"] = ", ".join(f"{name}={text}" for name, text in labels.items()) if isinstance(labels, dict) else ""
    found["rule"] = str(event.get("rule_name") or event.get("title") or "")
    found["model"] = str(event.get("model_id") or "")
    return found
