"""Rules in a TOML file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pipeline.alerts import Evaluate, validate
from pipeline.errors import RuleError
from pipeline.jobs.rule_file import plan_load, read_rules
from pipeline.model.pair import Pair
from pipeline.settings import Settings

EXAMPLE = Path(__file__).resolve().parents[2] / "deployments" / "alerts.example.toml"


def test_the_example_reads_and_every_rule_of_it_makes_sense_under_the_defaults():
    rules = {rule.rule_id: rule for rule in read_rules(EXAMPLE)}
    assert list(rules) == ["eth-rich", "any-pair-decoupled", "btc-band", "silent", "before-the-event"]
    chosen = Settings()
    for rule in rules.values():
        validate(
            rule,
            zscore_window=chosen.zscore_window,
            known_symbols=chosen.symbols,
            known_pairs=[Pair.parse(text) for text in chosen.pairs],
            timeframes=chosen.parsed_timeframes,
            now_us=1,
        )
    assert rules["eth-rich"].text == "ETHUSDT/BTCUSDT z-score 1m above 2 for 30 s, recovers under 0.5"
    assert rules["eth-rich"].labels == (("desk", "pairs"),)
    assert rules["any-pair-decoupled"].evaluate is Evaluate.BAR_CLOSE
    assert rules["before-the-event"].expires_at_us == 4_101_818_400_000_000


def test_loading_twice_changes_nothing_and_others_are_told():
    wanted = read_rules(EXAMPLE)
    other = replace(wanted[0], rule_id="by-hand")
    first = plan_load(wanted, [other])
    assert (len(first.added), first.changed, first.unchanged, first.others) == (5, (), (), (other,))
    again = plan_load(wanted, [*wanted, other])
    assert (again.added, again.changed, len(again.unchanged)) == ((), (), 5)
    edited = plan_load([replace(wanted[0], threshold=3.0), *wanted[1:]], wanted)
    assert [rule.rule_id for rule in edited.changed] == ["eth-rich"]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[[rule]\n", "is not TOML"),
        ("[rule]\nrule_id = 'a'\n", "write [[rule]] with two brackets"),
        ("[[rules]]\nrule_id = 'a'\n", "has 'rules' outside of a rule"),
        ("[[rule]]\nrule_id = 'a'\ntarget = 'BTCUSDT'\nmetric = 'price'\ncondition = 'above'\n", "rule 'a': alert rule lacks threshold"),
        ("[[rule]]\nrule_id = 'a'\ntreshold = 2\n", "did you mean threshold?"),
        ("[[rule]]\nmetric = 'zcore'\nrule_id='a'\ntarget='*'\ncondition='above'\nthreshold=1\n", "did you mean zscore?"),
        ("[[rule]]\nexpires_at = 'soon'\n", "rule number 1: expires_at = 'soon' cannot be used"),
    ],
)
def test_what_is_wrong_is_said_with_the_rule(tmp_path, text, said):
    (tmp_path / "rules.toml").write_text(text)
    with pytest.raises(RuleError) as error:
        read_rules(tmp_path / "rules.toml")
    assert said in str(error.value)
    assert "\n" not in str(error.value)


def test_two_rules_of_one_id_are_refused(tmp_path):
    one = "[[rule]]\nrule_id='a'\ntarget='BTCUSDT'\nmetric='price'\ncondition='above'\nthreshold=1\n"
    (tmp_path / "rules.toml").write_text(one * 2)
    with pytest.raises(RuleError, match="two rules with rule_id 'a'"):
        read_rules(tmp_path / "rules.toml")
