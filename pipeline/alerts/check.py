"""The judgement on a rule when it is created: it must make sense, and it must be able to fire and to recover."""

from __future__ import annotations

import difflib
import math
import re
from collections.abc import Collection

from pipeline.alerts.acts import utc
from pipeline.alerts.metric import Metric, TargetKind, limits
from pipeline.alerts.rule import EVERYTHING, PIPELINE, Condition, Rule, number
from pipeline.errors import RuleError
from pipeline.model.flow import FLOWS
from pipeline.model.pair import Pair
from pipeline.model.timeframe import Timeframe

_RULE_ID = re.compile(r"[A-Za-z0-9._:-]{1,64}")
_LONGEST_FOR_S = 86_400.0
_LONGEST_WINDOW = 10_000
_LONGEST_NOTE = 2_000
_LABEL = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,63}")
_LONGEST_LABEL = 200
_MOST_LABELS = 20


def validate(
    rule: Rule,
    *,
    zscore_window: int,
    known_symbols: Collection[str],
    known_pairs: Collection[Pair],
    timeframes: Collection[Timeframe],
    channels: Collection[str] | None = None,
    now_us: int = 0,
) -> None:
    """Accept a rule, or say in one line why not.

    Args:
        rule: the rule to judge.
        zscore_window: bars in a z-score's window, which bounds what a z-score can be.
        known_symbols: symbols of the universe.
        known_pairs: pairs of the universe.
        timeframes: configured bar lengths.
        channels: names of the configured channels; None when they are not known here.
        now_us: journal time, in microseconds since the epoch, before which a rule must not expire.

    Raises:
        RuleError: when a field cannot be used, the target, timeframe or a channel is not configured, the band or the recovery
            threshold is inverted, or the rule could never fire or never recover.
    """
    _check_fields(rule)
    _check_tags(rule, channels)
    _check_target(rule, known_symbols, known_pairs)
    _check_evaluation(rule)
    _check_timeframe(rule, timeframes)
    _check_expiry(rule, now_us)
    _check_order(rule)
    _check_reach(rule, zscore_window)


def _check_fields(rule: Rule) -> None:
    if _RULE_ID.fullmatch(rule.rule_id) is None:
        msg = f"rule id {rule.rule_id!r} cannot be used; expected 1 to 64 letters, digits, dots, colons, hyphens or underscores"
        raise RuleError(msg)
    if not rule.name.strip() or len(rule.name) > 100 or not rule.name.isprintable():
        msg = f"rule name {rule.name[:120]!r} cannot be used; expected one line of 1 to 100 characters"
        raise RuleError(msg)
    if len(rule.note) > _LONGEST_NOTE:
        msg = f"the note has {len(rule.note)} characters; shorten it to {_LONGEST_NOTE}"
        raise RuleError(msg)
    for field, value in (
        ("threshold", rule.threshold),
        ("lower_threshold", rule.lower_threshold),
        ("recovery_threshold", rule.recovery_threshold),
    ):
        if value is not None and not math.isfinite(value):
            msg = f"{field} = {value} cannot be used; expected a finite number"
            raise RuleError(msg)
    for field, value in (("for_s", rule.for_s), ("keep_firing_for_s", rule.keep_firing_for_s)):
        if not 0 <= value <= _LONGEST_FOR_S:
            msg = f"{field} = {value} cannot be used; expected 0 to {_LONGEST_FOR_S:.0f} seconds"
            raise RuleError(msg)
    if rule.window is not None and not rule.facts.windowed:
        msg = f"{rule.facts.label} takes no window of a rule's own; leave window out"
        raise RuleError(msg)
    if rule.window is not None and not 1 <= rule.window <= _LONGEST_WINDOW:
        msg = f"window = {rule.window} cannot be used; expected 1 to {_LONGEST_WINDOW} bars"
        raise RuleError(msg)


def _check_tags(rule: Rule, channels: Collection[str] | None) -> None:
    for channel in rule.channels if channels is not None else ():
        if channel not in (channels or ()):
            known = ", ".join(sorted(channels or ()))
            msg = f"channel {channel!r} is not configured; {f'choose from {known}' if known else 'none is: see the settings of alerts'}"
            raise RuleError(msg)
    if len(set(rule.channels)) < len(rule.channels):
        msg = f"channels {', '.join(rule.channels)} name one twice; name each once"
        raise RuleError(msg)
    if len(rule.labels) > _MOST_LABELS:
        msg = f"the rule has {len(rule.labels)} labels; {_MOST_LABELS} at most"
        raise RuleError(msg)
    for name, text in rule.labels:
        if _LABEL.fullmatch(name) is None:
            msg = f"label {name[:80]!r} cannot be used; expected a letter or underscore, then letters, digits or underscores"
            raise RuleError(msg)
        if len(text) > _LONGEST_LABEL or not text.isprintable():
            msg = f"label {name} = {text[:80]!r} cannot be used; expected one line of at most {_LONGEST_LABEL} characters"
            raise RuleError(msg)


def _check_target(rule: Rule, known_symbols: Collection[str], known_pairs: Collection[Pair]) -> None:
    names = {
        TargetKind.SYMBOL: set(known_symbols),
        TargetKind.PAIR: {str(pair) for pair in known_pairs},
        TargetKind.PIPELINE: {PIPELINE, *FLOWS} if rule.metric is Metric.FLOW_FAILURES else {PIPELINE},
    }
    kind, target = rule.kind, rule.target
    if target in names[kind] or (target == EVERYTHING and kind is not TargetKind.PIPELINE):
        return
    if any(target in names[other] for other in names if other is not kind):
        msg = f"{rule.facts.label} belongs to a {kind}, and {target} is none; choose a {kind} or another metric"
        raise RuleError(msg)
    near = difflib.get_close_matches(target, sorted(names[kind]), n=1)
    if near:
        hint = f"did you mean {near[0]}?"
    elif kind is TargetKind.PIPELINE:
        hint = f"choose {PIPELINE} or a flow: {', '.join(FLOWS)}"
    else:
        hint = f"add it to the universe first, or use {EVERYTHING} for every {kind}"
    msg = f"{kind} {target!r} is not configured; {hint}"
    raise RuleError(msg)


def _check_evaluation(rule: Rule) -> None:
    if rule.on_bar_close and not rule.facts.barred:
        msg = f"{rule.facts.label} is no property of a bar; evaluate it on every_update or once"
        raise RuleError(msg)


def _check_expiry(rule: Rule, now_us: int) -> None:
    if rule.expires_at_us is None:
        return
    if rule.expires_at_us <= now_us:
        msg = f"the rule expires at {utc(rule.expires_at_us)}, which is past; choose a later time or leave expires_at_us out"
        raise RuleError(msg)
    if now_us and rule.expires_at_us - now_us <= rule.for_us:
        msg = f"the rule expires at {utc(rule.expires_at_us)}, before it can have held for {number(rule.for_s)} s; choose a later time"
        raise RuleError(msg)


def _check_timeframe(rule: Rule, timeframes: Collection[Timeframe]) -> None:
    names = ", ".join(str(timeframe) for timeframe in sorted(timeframes))
    if not rule.facts.timed and not rule.on_bar_close:
        if rule.timeframe is not None:
            msg = f"{rule.facts.label} has no timeframe; leave timeframe out"
            raise RuleError(msg)
    elif rule.timeframe is None:
        msg = f"{rule.facts.label} {'' if rule.facts.timed else 'on bar close '}needs a timeframe; choose one of {names}"
        raise RuleError(msg)
    elif rule.timeframe not in timeframes:
        msg = f"timeframe {rule.timeframe} is not configured; choose one of {names} or add it to the setting timeframes"
        raise RuleError(msg)


def _check_order(rule: Rule) -> None:
    """Refuse an inverted band, and a recovery threshold on the wrong side."""
    condition, threshold, recovery = rule.condition, rule.threshold, rule.recovery
    if not condition.is_band:
        if rule.lower_threshold is not None:
            msg = f"lower_threshold is for outside and inside; leave it out of a rule with {condition}"
            raise RuleError(msg)
        if condition in (Condition.ABOVE, Condition.CROSSES_UP) and recovery > threshold:
            msg = f"recovery threshold {number(recovery)} is over the threshold {number(threshold)}; choose one at or under it"
            raise RuleError(msg)
        if condition in (Condition.BELOW, Condition.CROSSES_DOWN) and recovery < threshold:
            msg = f"recovery threshold {number(recovery)} is under the threshold {number(threshold)}; choose one at or over it"
            raise RuleError(msg)
        return
    if rule.lower >= threshold:
        msg = f"the band {number(rule.lower)} to {number(threshold)} is inverted or empty; its lower end must be under its upper end"
        raise RuleError(msg)
    if condition is Condition.OUTSIDE and not rule.recovery_lower <= recovery <= threshold:
        middle = (rule.lower + threshold) / 2
        msg = f"recovery threshold {number(recovery)} is not in the upper half of the band; choose {number(middle)} to {number(threshold)}"
        raise RuleError(msg)
    if condition is Condition.INSIDE and recovery < threshold:
        msg = f"recovery threshold {number(recovery)} is inside the band; choose one at or over its upper end {number(threshold)}"
        raise RuleError(msg)


def _check_reach(rule: Rule, zscore_window: int) -> None:
    """Refuse a rule that no value of the metric can make fire, or end."""
    low, high = limits(rule.metric, zscore_window=zscore_window)
    if not _can_fire(rule, low, high):
        verb = "fire"
    elif not _can_recover(rule, low, high):
        verb = "recover"
    else:
        return
    if rule.metric is Metric.ZSCORE:
        msg = (
            f"{rule.text} can never {verb}: with a window of {zscore_window} bars"
            f" |z| is at most {high:.4g}; choose thresholds within it or a longer zscore_window"
        )
    else:
        msg = f"{rule.text} can never {verb}: {rule.facts.label} is always {_range(low, high)}; choose thresholds within that"
    raise RuleError(msg)


def _can_fire(rule: Rule, low: float, high: float) -> bool:
    match rule.condition:
        case Condition.ABOVE:
            return rule.threshold < high
        case Condition.BELOW:
            return rule.threshold > low
        case Condition.CROSSES_UP:  # it must also have been on the near side
            return low <= rule.threshold < high
        case Condition.CROSSES_DOWN:
            return low < rule.threshold <= high
        case Condition.OUTSIDE:
            return rule.lower > low or rule.threshold < high
        case Condition.INSIDE:
            return rule.lower <= high and rule.threshold >= low


def _can_recover(rule: Rule, low: float, high: float) -> bool:
    match rule.condition:
        case Condition.ABOVE | Condition.CROSSES_UP:
            return rule.recovery >= low
        case Condition.BELOW | Condition.CROSSES_DOWN:
            return rule.recovery <= high
        case Condition.OUTSIDE:
            return rule.recovery >= low and rule.recovery_lower <= high
        case Condition.INSIDE:
            above = rule.threshold < high and rule.recovery <= high
            return above or (rule.lower > low and rule.recovery_lower >= low)


def _range(low: float, high: float) -> str:
    if math.isinf(high):
        return f"{number(low)} or more"
    return f"between {number(low)} and {number(high)}"
