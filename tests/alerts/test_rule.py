from __future__ import annotations

import math
import re
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.alerts import (
    METRICS,
    ActiveHours,
    AlertState,
    Condition,
    Evaluate,
    EventKind,
    Metric,
    Rule,
    Severity,
    TargetKind,
    limits,
    validate,
    zscore_bound,
)
from pipeline.errors import RuleError
from pipeline.model.flow import FLOWS
from pipeline.model.pair import Pair
from pipeline.model.timeframe import Timeframe

PAIR = Pair("ETHUSDT", "BTCUSDT")
MINUTE = Timeframe.parse("1m")
Z = Rule(
    rule_id="r1",
    name="rich",
    target="ETHUSDT/BTCUSDT",
    metric=Metric.ZSCORE,
    timeframe=MINUTE,
    condition=Condition.ABOVE,
    threshold=2.0,
    recovery_threshold=0.5,
    for_s=30,
)
PRICE = Rule(rule_id="r2", name="dear", target="BTCUSDT", metric=Metric.PRICE, condition=Condition.ABOVE, threshold=70_000.5)


def check(rule, zscore_window=20):  # journal time is 2024-08-08 23:54:15
    validate(
        rule,
        zscore_window=zscore_window,
        known_symbols=("BTCUSDT", "ETHUSDT", "SOLUSDT"),
        known_pairs=(PAIR,),
        timeframes=(Timeframe.parse("1s"), MINUTE),
        channels=("webhook", "callback"),
        now_us=1_723_161_255_000_000,
    )


def refused(rule, **kwargs):
    with pytest.raises(RuleError) as caught:
        check(rule, **kwargs)
    message = str(caught.value)
    assert "\n" not in message
    return message


def test_good_rules_pass():
    check(Z)
    check(PRICE)
    check(replace(Z, target="*"))
    check(replace(Z, condition=Condition.OUTSIDE))
    check(replace(Z, metric=Metric.CORRELATION, condition=Condition.BELOW, threshold=0.3, recovery_threshold=0.7))
    check(replace(PRICE, metric=Metric.RETURN, timeframe=MINUTE, window=5, threshold=0.01))
    check(replace(PRICE, metric=Metric.DATA_AGE, target="*", threshold=60))
    check(replace(Z, metric=Metric.EG_P, condition=Condition.CROSSES_UP, threshold=0.05, recovery_threshold=None))
    check(replace(Z, metric=Metric.BETA_CHANGE, condition=Condition.OUTSIDE, threshold=0.2, recovery_threshold=None))
    check(replace(PRICE, metric=Metric.GAPS, target="pipeline", threshold=0))
    check(replace(PRICE, metric=Metric.DATA_AGE, target="pipeline", threshold=30))
    check(replace(PRICE, metric=Metric.FLOW_FAILURES, target="fit_pairs", threshold=2))
    check(replace(PRICE, metric=Metric.QUOTED_SPREAD_BPS, timeframe=MINUTE, threshold=5))
    check(replace(PRICE, evaluate=Evaluate.BAR_CLOSE, timeframe=MINUTE, channels=("webhook",), labels=(("desk", "a b"),)))
    check(replace(PRICE, evaluate=Evaluate.ONCE, expires_at_us=1_723_161_256_000_000))
    check(replace(Z, metric=Metric.SPREAD, condition=Condition.INSIDE, lower_threshold=-10, threshold=-5, recovery_threshold=-4))


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        (Z, "ETHUSDT/BTCUSDT z-score 1m above 2 for 30 s, recovers under 0.5"),
        (PRICE, "BTCUSDT price above 70000.5"),
        (replace(Z, condition=Condition.OUTSIDE, for_s=0), "ETHUSDT/BTCUSDT z-score 1m outside -2 to 2, recovers inside -0.5 to 0.5"),
        (replace(Z, target="*", condition=Condition.CROSSES_UP), "every pair z-score 1m crosses up through 2 for 30 s, recovers under 0.5"),
        (replace(PRICE, target="*", metric=Metric.DATA_AGE, threshold=60), "every symbol data age above 60 s"),
        (replace(PRICE, target="pipeline", metric=Metric.GAPS, threshold=3, evaluate=Evaluate.ONCE), "pipeline open gaps above 3, once"),
        (
            replace(Z, keep_firing_for_s=60, evaluate=Evaluate.BAR_CLOSE),
            "ETHUSDT/BTCUSDT z-score 1m above 2 for 30 s, recovers under 0.5 for 60 s, on bar close",
        ),
        (replace(PRICE, metric=Metric.RETURN, timeframe=MINUTE, window=5, threshold=0.01), "BTCUSDT 5-bar return 1m above 0.01"),
    ],
)
def test_the_text_says_the_rule_in_one_line(rule, text):
    assert rule.text == text


def test_a_z_score_beyond_its_bound_can_never_fire():
    assert zscore_bound(20) == pytest.approx(4.2485, abs=1e-4)
    check(replace(Z, threshold=4.24))
    message = refused(replace(Z, threshold=4.25))
    assert "can never fire: with a window of 20 bars |z| is at most 4.249" in message
    check(replace(Z, threshold=4.25), zscore_window=21)
    assert "never fire" in refused(replace(Z, condition=Condition.OUTSIDE, threshold=5))
    check(replace(Z, condition=Condition.OUTSIDE, threshold=5, lower_threshold=-1, recovery_threshold=None))
    check(replace(Z, condition=Condition.OUTSIDE, threshold=1, lower_threshold=-5, recovery_threshold=None))
    assert "never fire" in refused(replace(Z, condition=Condition.BELOW, threshold=-4.3, recovery_threshold=None))
    assert "never recover" in refused(replace(Z, recovery_threshold=-4.3))


@pytest.mark.parametrize(
    ("changes", "part"),
    [
        ({"threshold": 1.0}, "never fire"),
        ({"threshold": 0.5, "recovery_threshold": -1.5}, "never recover"),
        ({"condition": Condition.BELOW, "threshold": -1.0, "recovery_threshold": None}, "never fire"),
        ({"condition": Condition.INSIDE, "lower_threshold": 1.5, "threshold": 2.0, "recovery_threshold": None}, "never fire"),
        ({"condition": Condition.INSIDE, "lower_threshold": -1.0, "threshold": 1.0, "recovery_threshold": None}, "never recover"),
        ({"condition": Condition.CROSSES_UP, "threshold": -1.5, "recovery_threshold": None}, "never fire"),
        ({"condition": Condition.CROSSES_DOWN, "threshold": 1.5, "recovery_threshold": None}, "never fire"),
    ],
)
def test_limits_of_a_correlation_are_known(changes, part):
    assert part in refused(replace(Z, metric=Metric.CORRELATION, **changes))


@pytest.mark.parametrize(
    ("rule", "part"),
    [
        (replace(Z, recovery_threshold=2.5), "over the threshold 2"),
        (replace(Z, condition=Condition.BELOW, threshold=-2, recovery_threshold=-3), "under the threshold -2"),
        (replace(Z, condition=Condition.OUTSIDE, threshold=-1), "inverted or empty"),
        (replace(Z, condition=Condition.OUTSIDE, threshold=2, lower_threshold=2), "inverted or empty"),
        (replace(Z, condition=Condition.OUTSIDE, recovery_threshold=-0.5), "upper half of the band; choose 0 to 2"),
        (replace(Z, condition=Condition.OUTSIDE, recovery_threshold=2.5), "upper half"),
        (replace(Z, condition=Condition.INSIDE, recovery_threshold=1.0), "inside the band"),
        (replace(Z, lower_threshold=1.0), "is for outside and inside"),
        (replace(Z, target="SOLUSDT"), "z-score belongs to a pair, and SOLUSDT is none"),
        (replace(PRICE, target="ETHUSDT/BTCUSDT"), "price belongs to a symbol"),
        (replace(PRICE, target="BTCUSD"), "did you mean BTCUSDT?"),
        (replace(PRICE, target="XX"), "add it to the universe first"),
        (replace(PRICE, timeframe=MINUTE), "has no timeframe"),
        (replace(Z, timeframe=None), "needs a timeframe; choose one of 1s, 1m"),
        (replace(Z, timeframe=Timeframe.parse("5m")), "timeframe 5m is not configured"),
        (replace(Z, window=20), "leave window out"),
        (replace(PRICE, metric=Metric.RETURN, timeframe=MINUTE, window=0), "window = 0"),
        (replace(PRICE, threshold=math.inf), "expected a finite number"),
        (replace(PRICE, for_s=-1), "for_s = -1"),
        (replace(PRICE, for_s=math.nan), "for_s = nan"),
        (replace(PRICE, name="  "), "rule name"),
        (replace(PRICE, name="two\nlines"), "rule name"),
        (replace(PRICE, rule_id="a b"), "rule id 'a b'"),
        (replace(PRICE, note="x" * 3000), "shorten"),
        (replace(PRICE, condition=Condition.BELOW, threshold=0), "price is always 0 or more"),
        (replace(PRICE, keep_firing_for_s=-1), "keep_firing_for_s = -1"),
        (replace(PRICE, evaluate=Evaluate.BAR_CLOSE), "price on bar close needs a timeframe; choose one of 1s, 1m"),
        (replace(PRICE, metric=Metric.DATA_AGE, evaluate=Evaluate.BAR_CLOSE, timeframe=MINUTE), "data age is no property of a bar"),
        (replace(PRICE, metric=Metric.AMIHUD, timeframe=MINUTE, threshold=1e-9, evaluate=Evaluate.BAR_CLOSE), "no property of a bar"),
        (replace(PRICE, target="pipeline"), "price belongs to a symbol, and pipeline is none"),
        (replace(PRICE, metric=Metric.FLOW_FAILURES, threshold=0), "flow failures belongs to a pipeline, and BTCUSDT is none"),
        (replace(PRICE, metric=Metric.FLOW_FAILURES, threshold=0, target="resampel"), "did you mean resample?"),
        (replace(PRICE, metric=Metric.FLOW_FAILURES, threshold=0, target="*"), "choose pipeline or a flow: archive"),
        (replace(PRICE, metric=Metric.GAPS, threshold=-1), "open gaps is always 0 or more"),
        (replace(Z, metric=Metric.TAKER_IMBALANCE, target="BTCUSDT", recovery_threshold=None), "always between -1 and 1"),
        (replace(PRICE, channels=("slack",)), "channel 'slack' is not configured; choose from callback, webhook"),
        (replace(PRICE, channels=("webhook", "webhook")), "name one twice"),
        (replace(PRICE, labels=(("two words", "x"),)), "label 'two words'"),
        (replace(PRICE, labels=(("a", "x\ny"),)), "label a = 'x\\ny'"),
        (replace(PRICE, labels=tuple((f"l{n}", "") for n in range(21))), "21 labels; 20 at most"),
        (replace(PRICE, expires_at_us=1_000_000_000_000_000), "expires at 2001-09-09 01:46:40 UTC, which is past"),
        (replace(Z, expires_at_us=1_723_161_265_000_000), "before it can have held for 30 s"),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(rule, part):
    assert part in refused(rule)


finite = st.floats(-1.5, 1.5).map(lambda value: round(value, 1)) | st.floats(-6, 6).map(lambda value: round(value, 1))
rules = st.builds(
    replace,
    st.just(Z),
    metric=st.sampled_from([Metric.ZSCORE, Metric.CORRELATION, Metric.EG_P, Metric.SPREAD]),
    condition=st.sampled_from(Condition),
    threshold=finite,
    lower_threshold=st.none() | finite,
    recovery_threshold=st.none() | finite,
    for_s=st.sampled_from([0.0, 0.25, 30.0]),
    severity=st.sampled_from(Severity),
    enabled=st.booleans(),
    note=st.text(max_size=5),
    keep_firing_for_s=st.sampled_from([0.0, 12.5]),
    evaluate=st.sampled_from(Evaluate),
    channels=st.sampled_from([(), ("webhook",), ("webhook", "callback")]),
    labels=st.sampled_from([(), (("desk", "crypto"), ("team", "a b"))]),
    expires_at_us=st.none() | st.just(1_823_161_255_000_000),
    active_hours=st.none() | st.just(ActiveHours.parse("mon-fri 08:00-17:30 Europe/Berlin")),
)


@settings(max_examples=400, deadline=None)
@given(rule=rules, values=st.lists(st.floats(-7, 7), min_size=1, max_size=50))
def test_never_fire_and_never_recover_are_judged_right(rule, values):
    low, high = limits(rule.metric, zscore_window=20)
    grid = [max(low, -7) + (min(high, 7) - max(low, -7)) * k / 400 for k in range(401)]
    grid += [end for end in (rule.threshold, rule.lower, rule.recovery, rule.recovery_lower) if low <= end <= high]
    grid += [nudged for end in grid[-4:] for nudged in (math.nextafter(end, -99), math.nextafter(end, 99)) if low <= nudged <= high]
    try:
        check(rule)
    except RuleError as error:
        if "never fire" in str(error):
            near_side_missing = rule.condition.is_crossing and all(rule.breached(value) for value in grid)
            assert near_side_missing or not any(rule.breached(value) for value in grid)
        elif "never recover" in str(error):
            assert not any(rule.recovered(value) for value in grid)
    else:
        assert any(rule.breached(value) for value in grid)
        assert any(rule.recovered(value) for value in grid)
    assert not any(rule.breached(value) and rule.recovered(value) for value in [*values, *grid])
    if rule.recovery_threshold is None:
        assert all(rule.breached(value) != rule.recovered(value) for value in [*values, *grid])


@settings(max_examples=100, deadline=None)
@given(rule=rules)
def test_rows_and_json_come_back_as_the_same_rule(rule):
    assert Rule.from_json(rule.to_json()) == rule
    assert Rule.from_row(rule.as_row()) == rule
    assert tuple(rule.as_row()) == Rule.columns()
    assert all(value is None or type(value) in {str, int, float, bool, list, dict} for value in rule.as_row().values())


def test_json_is_strict():
    row = PRICE.as_row()
    assert Rule.from_row({**row, "threshold": 7}).threshold == 7.0
    for changes, part in [
        ({"treshold": 1.0}, "has no field 'treshold'; did you mean threshold?"),
        ({"metric": "zscor"}, "did you mean zscore?"),
        ({"metric": 3}, "expected one of zscore"),
        ({"threshold": "7"}, "expected a number"),
        ({"threshold": math.nan}, "expected a number"),
        ({"threshold": True}, "expected a number"),
        ({"threshold": 10**400}, "expected a number"),
        ({"threshold": None}, "expected a number"),
        ({"window": 1.5}, "expected a whole number or null"),
        ({"window": True}, "expected a whole number or null"),
        ({"enabled": 1}, "expected true or false"),
        ({"timeframe": "7m"}, "does not divide a day"),
        ({"timeframe": 60}, "expected a timeframe such as 1m or null"),
        ({"name": None}, "expected text"),
        ({"channels": "webhook"}, "expected a list of names"),
        ({"channels": [1]}, "expected a list of names"),
        ({"labels": ["a"]}, "expected names with texts"),
        ({"labels": {"a": 1}}, "expected names with texts"),
        ({"active_hours": "noon"}, "expected such as 'mon-fri"),
        ({"active_hours": "08:00-25:00"}, "expected 00:00 to 24:00"),
        ({"active_hours": "24:00-08:00"}, "write 00:00"),
        ({"active_hours": "mon-fry 08:00-17:00"}, "expected such as mon-fri or sat,sun"),
        ({"active_hours": "08:00-17:00 Mars/Olympus"}, "time zone 'Mars/Olympus'"),
        ({"evaluate": "sometimes"}, "expected one of every_update"),
    ]:
        with pytest.raises(RuleError) as caught:
            Rule.from_row({**row, **changes})
        assert part in str(caught.value)
    with pytest.raises(RuleError, match="lacks name, threshold"):
        Rule.from_row({key: value for key, value in row.items() if key not in {"name", "threshold"}})
    for text in ("[]", "{", '{"threshold": NaN}', "\xff"):
        with pytest.raises(RuleError, match="expected one"):
            Rule.from_json(text)


def test_a_rule_of_an_earlier_version_still_loads():
    old = {
        key: PRICE.as_row()[key] for key in ("rule_id", "name", "target", "metric", "condition", "threshold", "for_s", "enabled", "note")
    }
    assert Rule.from_row(old) == PRICE
    assert Rule.from_row({**old, "labels": {"b": "1", "a": "2"}}).labels == (("a", "2"), ("b", "1"))


def test_infinite_values_survive_json():
    state = AlertState(rule_id="r", series="S", value=math.inf)
    assert '"value":"inf"' in state.to_json()
    assert AlertState.from_json(state.to_json()) == state


def test_a_rule_names_its_series():
    symbols, pairs = ("BTCUSDT", "ETHUSDT"), (PAIR,)
    assert Z.series(symbols, pairs) == ("ETHUSDT/BTCUSDT",)
    assert replace(Z, target="*").series(symbols, pairs) == ("ETHUSDT/BTCUSDT",)
    assert replace(PRICE, target="*").series(symbols, pairs) == symbols
    assert replace(PRICE, target="SOLUSDT").series(symbols, pairs) == ()


def test_every_metric_is_described():
    assert set(METRICS) == set(Metric)
    assert all(facts.label and facts.meaning and facts.low < facts.high for facts in METRICS.values())
    assert {facts.kind for facts in METRICS.values()} == set(TargetKind)


def test_every_metric_event_and_field_is_in_the_docs():
    page = (Path(__file__).parents[2] / "docs" / "alerts.md").read_text()
    assert not [name for name in (*METRICS, *EventKind, *Condition, *Evaluate, *Rule.columns()) if f"`{name}`" not in page]
    assert all(facts.meaning in page for facts in METRICS.values())


def test_every_flow_has_a_name_that_rules_know():
    flows = Path(__file__).parents[2] / "flows"
    named = [path.stem for path in flows.glob("*.py") if re.search(r"^@batch_flow\(", path.read_text(), re.MULTILINE)]
    assert sorted(named) == sorted(FLOWS)
