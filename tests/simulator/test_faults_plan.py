"""Plans of faults: what can be said, what is refused, and that a seed decides the moments."""

from __future__ import annotations

import statistics
from itertools import islice, pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner

from pipeline.cli import group
from pipeline.errors import UsageError
from pipeline.simulator import SimulatorConfig
from pipeline.simulator.faults import Plan, parse_option, parse_plan
from pipeline.simulator.faults.acts import ACTS, Close, Hole, Status
from pipeline.simulator.faults.plan import moments

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "simulator.md"


def test_a_plan_says_what_happens_when_and_to_whom():
    plan = parse_plan(
        """
        seed = 5
        until_s = 600
        [[fault]]
        kind = "close"
        at_s = 12.5
        code = 1012
        route = "public"
        [[fault]]
        kind = "status"
        every_s = 30
        for_s = 4
        code = 418
        retry_after_s = 60
        """,
        "plan",
    )
    first, second = plan.faults
    assert (plan.seed, plan.until_s) == (5, 600)
    assert first.act == Close(code=1012)
    assert (first.number, first.at_s, first.every_s, first.route) == (1, 12.5, None, "public")
    assert second.act == Status(code=418, retry_after_s=60)
    assert (second.number, second.at_s, second.every_s, second.for_s) == (2, None, 30, 4)
    assert parse_option("hole:every_s=20,count=3,symbol=btcusdt", 4).act == Hole(count=3)
    assert parse_option("hole:every_s=20,count=3,symbol=btcusdt", 4).symbol == "BTCUSDT"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[fault]", "plan is not TOML"),
        ("sed = 1", "plan: key `sed` is not known"),
        ('seed = "x"', "plan: key `seed`: 'x' cannot be used; expected a whole number"),
        ("fault = 3", "`fault` is no list of tables"),
        ("[[fault]]\nat_s = 1", "plan: fault 1, key `kind`: None is not known; expected one of drop"),
        ('[[fault]]\nkind = "drop"\nat_s = 1\n[[fault]]\nkind = "dorp"\nat_s = 1', "fault 2, key `kind`: 'dorp' is not known"),
        ('[[fault]]\nkind = "drop"', "fault 1 \\(drop\\), key `at_s` or `every_s` is missing"),
        ('[[fault]]\nkind = "drop"\nat_s = 1\nevery_s = 1', "`at_s` and `every_s` exclude each other"),
        ('[[fault]]\nkind = "drop"\nat_s = -1', "key `at_s`: -1 cannot be used; expected a number from 0"),
        ('[[fault]]\nkind = "drop"\nat_s = true', "key `at_s`: True cannot be used"),
        ('[[fault]]\nkind = "drop"\nat_s = 1\nfor_s = 1', "key `for_s` is not known \\(known to other kinds\\)"),
        ('[[fault]]\nkind = "drop"\nat_s = 1\nroute = "left"', "key `route`: 'left' cannot be used; expected one of market"),
        ('[[fault]]\nkind = "skip"\nat_s = 1\ncount = 1.5', "fault 1 \\(skip\\), key `count`: 1.5 cannot be used; expected a whole"),
        ('[[fault]]\nkind = "malformed"\nat_s = 1\nshape = "odd"', "key `shape`: 'odd' cannot be used; expected one of any"),
        ('[[fault]]\nkind = "malformed"\nat_s = 1\nreplace = 1', "key `replace`: 1 cannot be used; expected true or false"),
        ('[[fault]]\nkind = "hole"\nat_s = 1\nsymbol = 4', "key `symbol`: 4 cannot be used; expected a text"),
        ('[[fault]]\nkind = "duplicate"\nevery_s = 1\nchance = nan', "key `chance`: nan cannot be used; expected a number from 0 to 1"),
    ],
)
def test_a_bad_plan_is_refused_in_one_line(text, message):
    with pytest.raises(UsageError, match=message) as caught:
        parse_plan(text, "plan")
    assert "\n" not in str(caught.value)


def test_a_word_that_is_no_fault_is_refused():
    with pytest.raises(UsageError, match="'every' is not KEY=VALUE"):
        parse_option("drop:every", 1)


def test_the_same_seed_gives_the_same_moments_and_another_seed_others():
    text = '[[fault]]\nkind = "drop"\nevery_s = 20\n[[fault]]\nkind = "skip"\nevery_s = 20\n[[fault]]\nkind = "hole"\nat_s = 7'
    plan, same, other = parse_plan(text, "a"), parse_plan(text, "b"), parse_plan(f"seed = 2\n{text}", "c")
    for fault in plan.faults:
        assert list(islice(moments(plan, fault), 50)) == list(islice(moments(same, fault), 50))
        assert list(islice(moments(plan, fault), 50)) != list(islice(moments(other, fault), 50))
    drops, skips, (hole,) = (list(islice(moments(plan, fault), 4_000)) for fault in plan.faults)
    assert [one.at_s for one in drops] != [one.at_s for one in skips]
    assert hole.at_s == 7
    pauses = [later.at_s - earlier.at_s for earlier, later in pairwise(drops)]
    assert min(pauses) > 0
    assert statistics.fmean(pauses) == pytest.approx(20, rel=0.1)
    assert statistics.stdev(pauses) == pytest.approx(20, rel=0.1)
    assert all(0 <= one.pick < 1 for one in drops)
    # what is known beforehand: these are the moments of this seed on every machine
    assert [round(one.at_s, 3) for one in drops[:3]] == [16.691, 31.668, 34.016]


def test_nothing_begins_after_the_end_of_a_plan():
    plan = parse_plan('until_s = 100\n[[fault]]\nkind = "drop"\nevery_s = 5\n[[fault]]\nkind = "drop"\nat_s = 101', "plan")
    assert all(one.at_s <= 100 for one in moments(plan, plan.faults[0]))
    assert list(moments(plan, plan.faults[1])) == []


def test_a_replay_refuses_what_only_a_market_can_do(tmp_path):
    for word in ("hole:at_s=1", "skew:events=true"):
        with pytest.raises(UsageError, match="changes the market itself"):
            SimulatorConfig(replay=(tmp_path,), faults=Plan((parse_option(word, 1),)))
    SimulatorConfig(replay=(tmp_path,), faults=Plan((parse_option("drop:every_s=3", 1), parse_option("skew:ms=3", 2))))


def test_every_kind_is_documented_and_the_example_is_a_plan():
    text = DOCUMENT.read_text(encoding="utf-8")
    for kind in ACTS:
        assert f"| `{kind}` |" in text, kind
    example = text.partition("```toml\n")[2].partition("```")[0]
    assert len(parse_plan(example, "docs/simulator.md").faults) > 5


def test_the_command_refuses_a_bad_plan(tmp_path):
    path = tmp_path / "faults.toml"
    path.write_text('[[fault]]\nkind = "drop"\nat_s = "soon"\n')
    result = CliRunner().invoke(group, ["simulate", "--faults", str(path)])
    assert result.exit_code != 0
    assert isinstance(result.exception, UsageError)
    assert str(result.exception).endswith("fault 1 (drop), key `at_s`: 'soon' cannot be used; expected a number from 0")
