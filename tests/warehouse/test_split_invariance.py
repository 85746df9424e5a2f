"""The same journal gives the same tables, wherever it is cut into batches and whenever the process dies."""

from __future__ import annotations

import os
import re

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from pipeline.profile import Kind

WITHOUT_SHRINKING = (Phase.explicit, Phase.reuse, Phase.generate)  # each example lands hundreds of lines twice
EXAMPLES = int(os.environ.get("SPLIT_EXAMPLES", "5"))  # more for a long search
HALT_AFTER_S, PAUSE_MS = 1.0, 1_500
BETA = 0.0434
RULES = [
    {"rule_id": "price", "metric": "price", "target": "ETHUSDT", "condition": "above", "threshold": 2681.8},
    {"rule_id": "cross", "metric": "price", "target": "*", "condition": "crosses_down", "threshold": 2681.5},
    {"rule_id": "held", "metric": "price", "target": "BTCUSDT", "condition": "below", "threshold": 61_815.0, "for_s": 0.7},
    {"rule_id": "z", "metric": "zscore", "target": "*", "condition": "outside", "threshold": 1.2, "timeframe": "1s"},
    {"rule_id": "zheld", "metric": "zscore", "target": "*", "condition": "above", "threshold": 0.3, "timeframe": "5s", "for_s": 0.25},
    {"rule_id": "volume", "metric": "volume", "target": "BTCUSDT", "condition": "above", "threshold": 3.0, "timeframe": "1s", "window": 3},
    {"rule_id": "return", "metric": "return", "target": "*", "condition": "outside", "threshold": 0.00003, "timeframe": "1s", "window": 2},
    {"rule_id": "age", "metric": "data_age", "target": "*", "condition": "above", "threshold": 0.8},
    {"rule_id": "once", "metric": "price", "target": "*", "condition": "above", "threshold": 2681.7, "evaluate": "once"},
    {
        "rule_id": "kept",
        "metric": "zscore",
        "target": "*",
        "condition": "below",
        "threshold": -0.5,
        "timeframe": "1s",
        "keep_firing_for_s": 0.45,
    },
    {
        "rule_id": "closed",
        "metric": "zscore",
        "target": "*",
        "condition": "outside",
        "threshold": 1.0,
        "timeframe": "1s",
        "evaluate": "bar_close",
    },
    {
        "rule_id": "closed5",
        "metric": "volume",
        "target": "*",
        "condition": "above",
        "threshold": 2.0,
        "timeframe": "5s",
        "evaluate": "bar_close",
        "for_s": 4.0,
        "keep_firing_for_s": 3.0,
    },
    {"rule_id": "corr", "metric": "correlation", "target": "*", "condition": "above", "threshold": 0.1, "timeframe": "1s"},
    {
        "rule_id": "last",
        "metric": "price",
        "target": "*",
        "condition": "above",
        "threshold": 2681.7,
        "timeframe": "1s",
        "evaluate": "bar_close",
    },
    {"rule_id": "gaps", "metric": "gaps", "target": "*", "condition": "above", "threshold": 0},
    {"rule_id": "holes", "metric": "gaps", "target": "pipeline", "condition": "above", "threshold": 1},
    {"rule_id": "silence", "metric": "data_age", "target": "pipeline", "condition": "above", "threshold": 1.0, "keep_firing_for_s": 1.0},
    {"rule_id": "hours", "metric": "price", "target": "*", "condition": "above", "threshold": 2681.7, "active_hours": "23:55-23:54 UTC"},
    {"rule_id": "beta", "metric": "beta", "target": "*", "condition": "above", "threshold": 0.001, "timeframe": "1s"},
]


class Story:
    """Lines in their order, where they are cut, and which cuts are crashes."""

    def __init__(self, lines, cuts=(), deaths=frozenset()):
        self.lines, self.cuts, self.deaths = tuple(lines), tuple(cuts), deaths

    def __repr__(self):
        return f"Story({len(self.lines)} lines, cuts={self.cuts}, deaths={sorted(self.deaths)})"


def begin(lab):
    """What is the same in every run: one live model from the start, and the rules."""
    lab.fit("m1", BETA)
    lab.fit("m5", BETA * 1.01, timeframe="5s")
    lab.activate("m1")
    lab.activate("m5", "5s")
    for rule in RULES:
        lab.request("rule.put", rule={"name": rule["rule_id"], **rule})
    outcomes = lab.rows("SELECT DISTINCT outcome FROM request_log")
    assert outcomes == [("applied",)]


def play(lab, story):
    begin(lab)
    starts = (0, *story.cuts)
    for number, (start, end) in enumerate(zip(starts, (*story.cuts, len(story.lines)), strict=True)):
        block = story.lines[start:end]
        if not block:
            continue
        if number in story.deaths:
            lab.crash(block)
            if number % 2:
                lab.restart()
        lab.land(block)
        if number in story.deaths:
            lab.restart()
    return lab.picture()


def differences(found, expected):
    return {name: (sorted(set(found[name]) ^ set(expected[name]), key=repr)[:6]) for name in expected if found[name] != expected[name]}


def slices(lines, *, clock):
    """A strategy of stories over short stretches of the real capture, spoilt in every way that a network can."""
    trades = [number for number, line in enumerate(lines) if b'"e":"trade"' in line]

    @st.composite
    def stories(draw):
        start = draw(st.sampled_from(trades[:1500:50]))
        chosen = [line for line in lines[start : start + 7000] if b"bookTicker" not in line or hash_of(line) % 100 == 0]
        for at in draw(st.lists(st.integers(len(chosen) // 3, len(chosen) - 40), min_size=1, max_size=2)):
            chosen[at:] = [later(line, PAUSE_MS) for line in chosen[at:]]  # the venue halts
        chosen = spoilt(draw, chosen)
        if clock:
            chosen = with_clock(chosen)
        else:
            chosen.append(re.match(rb"\d+ ", chosen[-1])[0] + b'{"e":"sw.end"}')
        cuts = sorted(draw(st.lists(st.integers(0, len(chosen)), max_size=12)))
        deaths = draw(st.frozensets(st.integers(0, len(cuts)), max_size=4))
        return Story(chosen, cuts, deaths)

    return stories()


def later(line, by_ms):
    return re.sub(rb'"T":(\d+)', lambda found: b'"T":%d' % (int(found[1]) + by_ms), line)


def hash_of(line):
    return int(re.search(rb'"u":(\d+)', line)[1])


def spoilt(draw, lines):
    lines = list(lines)
    for _ in range(draw(st.integers(0, 3))):  # gaps
        at = draw(st.integers(0, len(lines) - 30))
        del lines[at : at + draw(st.integers(1, 25))]
    for _ in range(draw(st.integers(0, 4))):  # late lines: a stretch comes again, or only, further on
        at = draw(st.integers(0, len(lines) - 40))
        stretch = lines[at : at + draw(st.integers(1, 30))]
        if draw(st.booleans()):
            del lines[at : at + len(stretch)]
        to = draw(st.integers(at, len(lines)))
        lines[to:to] = stretch
    if draw(st.booleans()):
        at = draw(st.integers(0, len(lines) - 20))
        lines[at : at + 20] = draw(st.permutations(lines[at : at + 20]))
    for _ in range(draw(st.integers(0, 3))):
        bad = draw(st.sampled_from([b"", b"x", b"1723161255088176367 {", b'1723161255088176367 {"e":"trade"}', b"17 \xff\xfe", b"{}"]))
        lines.insert(draw(st.integers(0, len(lines) - 1)), bad)
    return lines


def with_clock(lines):
    """The same lines as a capture journals them: received in order, with a line of its own each second."""
    received, out = 1_723_161_260_000_000_000, []
    for line in lines:
        if received // 10**9 != (received + 17_000_000) // 10**9:
            out.append(b'%d {"e":"sw.clock","connected":true,"streams":{},"reconnects":0,"conns":[]}' % received)
        received += 17_000_000
        out.append(re.sub(rb"^\d{19}", b"%d" % received, line))
    return out


@pytest.mark.parametrize("kind", [Kind.RECORDED, Kind.LIVE])
def test_cuts_and_crashes_change_nothing(real_lines, make_lab, kind):
    seen = set()

    @given(story=slices(real_lines, clock=kind is Kind.LIVE))
    @settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), phases=WITHOUT_SHRINKING)
    def hold(story):
        expected = play(make_lab(kind=kind, halt_after_s=HALT_AFTER_S), Story(story.lines))
        seen.update(name for name in ("ticks", "quotes", "signals", "bars", "outbox") if expected[name])
        seen.update(event[3] for event in expected["alert_events"])
        seen.update(row[-2] for row in expected["gaps"])
        found = play(make_lab(kind=kind, halt_after_s=HALT_AFTER_S), story)
        assert not (wrong := differences(found, expected)), str(wrong)

    hold()
    assert seen >= {"ticks", "quotes", "signals", "bars", "outbox", "firing", "resolved", "pending", "open", "refilled", "halt"}
