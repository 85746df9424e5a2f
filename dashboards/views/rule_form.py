"""The form of an alert rule: what most rules need at once, the rest behind one button; judged while it is written, tried on the past."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import panel_material_ui as pmui
from panel.viewable import Viewable

from dashboards.assets import asset
from dashboards.clock import Clock
from dashboards.format import escape
from dashboards.parts.fields import FIELD
from dashboards.parts.html import card, grid, html
from dashboards.views.view import Context
from pipeline.alerts import (
    EVERYTHING,
    METRICS,
    PIPELINE,
    ActiveHours,
    Condition,
    Evaluate,
    Metric,
    Rule,
    Severity,
    TargetKind,
    validate,
)
from pipeline.errors import SpreadwatchError
from pipeline.model.flow import FLOWS
from pipeline.model.universe import Universe

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EVERY = "every one"
_CONDITIONS = {
    "above": Condition.ABOVE.value,
    "below": Condition.BELOW.value,
    "outside a band": Condition.OUTSIDE.value,
    "inside a band": Condition.INSIDE.value,
    "crosses up": Condition.CROSSES_UP.value,
    "crosses down": Condition.CROSSES_DOWN.value,
}
_LOOKS = {
    "at every update": Evaluate.EVERY_UPDATE.value,
    "on bar close": Evaluate.BAR_CLOSE.value,
    "once, then never again": Evaluate.ONCE.value,
}
_CSS = asset("rule_form.css")
_SAY_CSS = asset("rule_say.css")
_TITLE_CSS = ".t { display: flex; align-items: baseline; gap: 8px; padding: 11px 14px 9px; }"


class RuleForm:
    """One form, for one session.

    Args:
        context: what the process has.
        clock: how times are told and typed.
        operator: whether the user may make rules; others may only try them.
        submit: called with a rule that makes sense, and whether it replaces one.
        test: called with a rule that is to be tried on the past.
    """

    def __init__(
        self, context: Context, clock: Clock, *, operator: bool, submit: Callable[[Rule, bool], None], test: Callable[[Rule], None]
    ) -> None:
        self._context = context
        self._clock = clock
        self._operator = operator
        self._may = "" if operator else " You may try it; creating it takes an operator."
        self._submit = submit
        self._test = test
        self._editing: Rule | None = None
        self._filling = False
        self._suggested: dict[str, str] = {}
        universe = context.universe
        self._symbols, self._pairs = universe.symbols, tuple(spec.pair for spec in universe.pairs)
        self._timeframes = {timeframe.name: timeframe for timeframe in context.timeframes}
        self._title = html(css=_TITLE_CSS)
        self._make_essentials()
        self._make_rest()
        self._make_buttons()
        self._watch()
        self.panel = self._layout()
        self._clear()

    def _make_essentials(self) -> None:
        names = {METRICS[metric].label: metric.value for metric in Metric}
        self._metric = pmui.Select(label="Watch", options=names, value=Metric.ZSCORE.value, **FIELD)
        self._target = pmui.Select(label="Of", options=[_EVERY], value=_EVERY, **FIELD)
        self._frame = pmui.Select(label="Timeframe", options=list(self._timeframes), **FIELD)
        self._bars = pmui.IntInput(label="Over bars", value=1, start=1, end=10_000, visible=False, **FIELD)
        self._condition = pmui.Select(label="Fires when", options=_CONDITIONS, value=Condition.ABOVE.value, **FIELD)
        self._threshold = pmui.TextInput(label="Threshold", value="", **FIELD)
        self._lower = pmui.TextInput(label="Lower end (empty: mirrored)", value="", visible=False, **FIELD)
        self._recovery = pmui.TextInput(label="Recovers at (optional)", value="", **FIELD)
        self._for = pmui.TextInput(label="Held for (seconds)", value="0", **FIELD)
        self._severity = pmui.Select(label="Severity", options=[s.value for s in Severity], value=Severity.WARNING.value, **FIELD)
        self._name = pmui.TextInput(label="Name (optional)", value="", css_classes=["wide"], **FIELD)

    def _make_rest(self) -> None:
        wide: dict[str, Any] = {**FIELD, "css_classes": ["wide"]}
        self._look = pmui.Select(label="Look", options=_LOOKS, value=Evaluate.EVERY_UPDATE.value, **FIELD)
        self._keep = pmui.TextInput(label="Keep firing for (seconds)", value="0", **FIELD)
        self._expires = pmui.TextInput(label=f"Expires ({self._clock.city})", placeholder="2026-12-24 18:00", value="", **FIELD)
        self._hours = pmui.TextInput(label="Tell me during", placeholder="mon-fri 08:00-17:30 UTC", value="", **FIELD)
        self._channels = pmui.MultiChoice(
            label="Tell (empty: every channel)", options=list(self._context.channels or ()), value=[], margin=0,
            sizing_mode="stretch_width", css_classes=["wide"], visible=bool(self._context.channels),
        )  # fmt: skip
        self._labels = pmui.TextInput(label="Labels", placeholder="desk=pairs, team=a", value="", **wide)
        self._note = pmui.TextInput(label="Note", placeholder="What to do when it fires", value="", **wide)
        self._rest = (self._look, self._keep, self._expires, self._hours, self._channels, self._labels, self._note)

    def _make_buttons(self) -> None:
        flat: dict[str, Any] = {"margin": 0, "sizing_mode": "stretch_width", "height": 38}
        self._more = pmui.Button(label="More", variant="text", margin=0, size="small", css_classes=["wide"])
        self._create = pmui.Button(label="Create rule", variant="contained", color="primary", **flat)
        self._try = pmui.Button(name="Test on last 24 h", variant="outlined", **flat)
        self._cancel = pmui.Button(name="Cancel", variant="text", css_classes=["wide"], **flat)
        self._say = html(css=_SAY_CSS, css_classes=["wide"])
        self._result = html(css=_SAY_CSS, css_classes=["wide"], visible=False)

    def _watch(self) -> None:
        self._metric.param.watch(self._metric_picked, "value")
        self._condition.param.watch(self._condition_picked, "value")
        fields = (
            self._target, self._frame, self._bars, self._threshold, self._lower, self._recovery, self._for, self._severity, self._name,
            *self._rest,
        )  # fmt: skip
        for widget in fields:
            widget.param.watch(self._changed, "value")
            if isinstance(widget, pmui.TextInput) and widget is not self._name:
                widget.param.watch(self._changed, "value_input")
        self._more.on_click(lambda _event: self._unfold(not self._look.visible))
        self._create.on_click(self._create_clicked)
        self._try.on_click(self._test_clicked)
        self._cancel.on_click(lambda _event: self._clear())

    def _layout(self) -> Viewable:
        fields = grid(
            self._metric, self._target, self._frame, self._bars, self._condition, self._threshold, self._lower, self._recovery, self._for,
            self._severity, self._name, self._more, *self._rest, self._say, self._create, self._try, self._cancel, self._result,
            css=_CSS, name="sw-rule",
        )  # fmt: skip
        return card(self._title, fields, css_classes=["sw-rule-card"])

    # ------------------------------------------------------------------------------------------------ filling it in

    def edit(self, rule: Rule) -> None:
        """Show a rule, to be replaced."""
        self._fill(rule)
        self._editing = rule
        self._name_buttons()

    def duplicate(self, rule: Rule) -> None:
        """Show a rule, as a draft of another."""
        self._fill(rule)
        self._editing = None
        self._name_buttons()

    def follow(self, universe: Universe) -> None:
        """Offer what there is now."""
        self._symbols, self._pairs = universe.symbols, tuple(spec.pair for spec in universe.pairs)
        self._metric_picked()

    def suggest(self, query: dict[str, str]) -> None:
        """``metric`` and ``target`` of a rule to make, from an address."""
        if query.get("metric") in set(Metric):
            self._metric.value = query["metric"]
        if query.get("target") in self._target.options:
            self._target.value = query["target"]
        self._suggested = {name: query[name] for name in ("metric", "target") if query.get(name)}

    def suggestion(self) -> dict[str, str]:
        """What was suggested, as long as it is what the form says."""
        says = {"metric": self._metric.value, "target": self._target.value}
        return self._suggested if self._suggested.items() <= says.items() else {}

    def _clear(self) -> None:
        """A rule that most begin with."""
        self._editing = None
        first = str(self._pairs[0]) if self._pairs else EVERYTHING
        frame = self._timeframes.get("1m") or next(iter(self._timeframes.values()))
        self._fill(
            Rule(
                rule_id="new", name="", target=first, metric=Metric.ZSCORE, condition=Condition.ABOVE, threshold=2.0,
                recovery_threshold=0.5, timeframe=frame,
            )
        )  # fmt: skip
        self._unfold(False)
        self._name_buttons()

    def _fill(self, rule: Rule) -> None:
        self._filling = True
        self._metric.value = rule.metric.value
        self._targets(keep=rule.target)
        _put(self._threshold, _text(rule.threshold))
        _put(self._lower, _text(rule.lower_threshold))
        _put(self._recovery, _text(rule.recovery_threshold))
        _put(self._for, _text(rule.for_s))
        _put(self._keep, _text(rule.keep_firing_for_s))
        _put(self._name, "" if rule.name == rule.text[:100] else rule.name)
        _put(self._note, rule.note)
        _put(self._labels, ", ".join(f"{name}={text}" for name, text in rule.labels))
        _put(self._hours, str(rule.active_hours or ""))
        expires = rule.expires_at_us
        _put(self._expires, "" if expires is None else self._clock.text(_EPOCH + timedelta(microseconds=expires)))
        self._condition.value = rule.condition.value
        if rule.timeframe is not None and rule.timeframe.name in self._timeframes:
            self._frame.value = rule.timeframe.name
        self._bars.value = rule.window or 1
        self._severity.value = rule.severity.value
        self._look.value = rule.evaluate.value
        self._channels.value = [name for name in rule.channels if name in self._channels.options]
        plain = Rule(rule_id="x", name="x", target="x", metric=rule.metric, condition=rule.condition, threshold=0.0)
        fields = ("evaluate", "keep_firing_for_s", "expires_at_us", "active_hours", "channels", "labels", "note")
        self._unfold(any(getattr(rule, name) != getattr(plain, name) for name in fields))
        self._filling = False
        self._metric_picked()
        self._condition_picked()

    def _name_buttons(self) -> None:
        rule = self._editing
        head = "New rule" if rule is None else f"Edit rule <span class='faint'>{escape(rule.name)}</span>"
        self._title.object = f'<div class="t"><h3>{head}</h3></div>'
        self._create.label = "Create rule" if rule is None else "Save rule"
        self._cancel.visible = rule is not None
        self._result.visible = False
        self._judge()

    def _unfold(self, shown: bool) -> None:  # noqa: FBT001  a state
        for widget in self._rest:
            widget.visible = shown and (widget is not self._channels or bool(self._channels.options))
        self._more.param.update(label="Less" if shown else "More")

    def _metric_picked(self, _event: Any = None) -> None:
        if self._filling:
            return
        facts = METRICS[Metric(self._metric.value)]
        self._targets(keep=self._target.value)
        self._frame.visible = facts.timed or self._look.value == Evaluate.BAR_CLOSE.value
        self._bars.visible = facts.windowed
        self._judge()

    def _targets(self, keep: str) -> None:
        """What the metric is a property of; what was chosen stays where it can."""
        metric = Metric(self._metric.value)
        facts = METRICS[metric]
        match facts.kind:
            case TargetKind.PIPELINE:
                names = [PIPELINE, *FLOWS]
            case TargetKind.PAIR:
                names = [*map(str, self._pairs), _EVERY]
            case TargetKind.SYMBOL:
                names = [*self._symbols, _EVERY, *([PIPELINE] if facts.of_pipeline else [])]
        keep = _EVERY if keep == EVERYTHING else keep
        self._target.param.update(options=names, value=keep if keep in names else names[0])

    def _condition_picked(self, _event: Any = None) -> None:
        if self._filling:
            return
        self._lower.visible = Condition(self._condition.value).is_band
        self._judge()

    def _changed(self, event: Any) -> None:
        if self._filling:
            return
        if event.obj is self._look:
            self._metric_picked()
        self._judge()

    # ------------------------------------------------------------------------------------------------ what it says

    def _asked(self) -> Rule:
        """The rule that the form describes.

        Raises:
            SpreadwatchError: when it makes no sense.
            ValueError: when a number is none.
        """
        metric, condition = Metric(self._metric.value), Condition(self._condition.value)
        facts, before = METRICS[metric], self._editing
        look = Evaluate(self._look.value)
        timed = facts.timed or look is Evaluate.BAR_CLOSE
        hours, name = _typed(self._hours), _typed(self._name)
        expires = self._clock.typed(_typed(self._expires), "the expiry")
        rule = Rule(
            rule_id=before.rule_id if before else _rule_id(name or f"{self._target.value} {metric}"),
            name="?",
            target=EVERYTHING if self._target.value == _EVERY else self._target.value,
            metric=metric,
            condition=condition,
            threshold=_number("threshold", self._threshold) or 0.0,
            lower_threshold=_number("lower end", self._lower, optional=True) if condition.is_band else None,
            recovery_threshold=_number("recovery threshold", self._recovery, optional=True),
            timeframe=self._timeframes[self._frame.value] if timed else None,
            window=self._bars.value if facts.windowed else None,
            for_s=_number("time", self._for, optional=True) or 0.0,
            keep_firing_for_s=_number("time to keep firing", self._keep, optional=True) or 0.0,
            severity=Severity(self._severity.value),
            enabled=before.enabled if before else True,
            evaluate=look,
            channels=tuple(self._channels.value),
            labels=_labels(_typed(self._labels)),
            note=_typed(self._note),
            expires_at_us=None if expires is None else (expires - _EPOCH) // timedelta(microseconds=1),
            active_hours=ActiveHours.parse(hours) if hours else None,
        )
        named = Rule.from_row({**rule.as_row(), "name": name or rule.text[:100]})
        validate(
            named,
            zscore_window=self._context.settings.zscore_window,
            known_symbols=self._symbols,
            known_pairs=self._pairs,
            timeframes=self._context.timeframes,
            channels=self._context.channels,
        )
        return named

    def _judge(self) -> Rule | None:
        self._result.visible = False
        try:
            rule = self._asked()
        except (SpreadwatchError, ValueError) as error:
            self._say.object = f'<div class="say down" role="status">{escape(_sentence(str(error)))}</div>'
            self._create.disabled = self._try.disabled = True
            return None
        self._say.object = f'<div class="say" role="status">Fires when <span class="strong">{escape(rule.text)}</span>.{self._may}</div>'
        self._create.disabled, self._try.disabled = not self._operator, False
        return rule

    def _create_clicked(self, _event: Any) -> None:
        rule = self._judge()
        if rule is not None:
            self._submit(rule, self._editing is not None)

    def _test_clicked(self, _event: Any) -> None:
        rule = self._judge()
        if rule is not None:
            self._try.loading = True
            self._test(rule)

    # ------------------------------------------------------------------------------------------------ what came of it

    @property
    def button(self) -> Any:
        """The button that submits."""
        return self._create

    def done(self) -> None:
        """The rule is in force: begin another."""
        if self._editing is not None:
            self._clear()
        else:
            _put(self._name, "")

    def tested(self, text: str) -> None:
        """Show what a test found, as HTML."""
        self._try.loading = False
        self._result.object = f'<div class="say test" role="status">{text}</div>'
        self._result.visible = True


def _put(widget: Any, text: str) -> None:
    """Both what is there and what is being typed."""
    widget.param.update(value=text, value_input=text)


def _typed(widget: Any) -> str:
    text = widget.value_input if widget.value_input is not None else widget.value
    return str(text or "").strip()


def _text(value: float | None) -> str:
    return "" if value is None else f"{value:.10g}"


def _number(name: str, widget: Any, *, optional: bool = False) -> float | None:
    text = _typed(widget).replace("\u2212", "-")
    if not text and optional:
        return None
    try:
        return float(text)
    except ValueError:
        msg = f"the {name} {text!r} is no number; write one such as 2 or -0.5"
        raise ValueError(msg) from None


def _labels(text: str) -> tuple[tuple[str, str], ...]:
    found: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        name, equals, value = part.partition("=")
        if not equals:
            msg = f"the label {part!r} is not understood; write such as desk=pairs, team=a"
            raise ValueError(msg)
        found[name.strip()] = value.strip()
    return tuple(sorted(found.items()))


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _rule_id(text: str) -> str:
    words = re.sub(r"[^a-z0-9]+", "-", text.lower()).strip("-")[:48]
    return f"{words or 'rule'}-{secrets.token_hex(3)}"
