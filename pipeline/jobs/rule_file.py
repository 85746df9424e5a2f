"""Alert rules in a TOML file, and what has to change so that the rules in force are those of the file.

    [[rule]]
    rule_id = "eth-rich"
    target = "ETHUSDT/BTCUSDT"
    metric = "zscore"
    timeframe = "1m"
    condition = "above"
    threshold = 2
    recovery_threshold = 0.5
    for_s = 30

The keys are the fields of `pipeline.alerts.Rule`; ``name`` may be left out, and ``expires_at`` is a TOML time in place of
``expires_at_us``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from pipeline.alerts import Rule
from pipeline.errors import RuleError

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Plan:
    """What a file asks for, against the rules in force."""

    added: tuple[Rule, ...]
    changed: tuple[Rule, ...]
    unchanged: tuple[Rule, ...]
    others: tuple[Rule, ...]
    """Rules in force that the file does not have."""


def read_rules(path: Path) -> tuple[Rule, ...]:
    """The rules of a file, in its order.

    Raises:
        RuleError: when it is no TOML, a rule does not read, or two have one id; the line or the rule is named.
    """
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        msg = f"{path} is not TOML: {error}; see deployments/alerts.example.toml for the form"
        raise RuleError(msg) from error
    tables = content.pop("rule", [])
    if content:
        msg = f"{path} has {', '.join(map(repr, content))} outside of a rule; expected nothing but [[rule]] tables"
        raise RuleError(msg)
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        msg = f"{path} has a single [rule]; write [[rule]] with two brackets, once for each rule"
        raise RuleError(msg)
    rules = tuple(_rule(path, number, table) for number, table in enumerate(tables, 1))
    seen: set[str] = set()
    for rule in rules:
        if rule.rule_id in seen:
            msg = f"{path} has two rules with rule_id {rule.rule_id!r}; give each its own"
            raise RuleError(msg)
        seen.add(rule.rule_id)
    return rules


def plan_load(wanted: Iterable[Rule], in_force: Iterable[Rule]) -> Plan:
    """Compare a file's rules with those in force; loading one file twice changes nothing the second time."""
    known = {rule.rule_id: rule for rule in in_force}
    added: list[Rule] = []
    changed: list[Rule] = []
    unchanged: list[Rule] = []
    for rule in wanted:
        before = known.pop(rule.rule_id, None)
        (added if before is None else unchanged if before == rule else changed).append(rule)
    return Plan(tuple(added), tuple(changed), tuple(unchanged), tuple(known.values()))


def named(row: Mapping[str, object]) -> Rule:
    """A rule of its fields; one without a name is called by what it says.

    Raises:
        RuleError: when a field does not read.
    """
    if row.get("name"):
        return Rule.from_row(row)
    rule = Rule.from_row({**row, "name": "?"})
    return Rule.from_row({**row, "name": rule.text[:100]})


def microseconds(time: datetime) -> int:
    """A time as rules have it; without a zone it is taken as UTC."""
    return ((time if time.tzinfo else time.replace(tzinfo=UTC)) - _EPOCH) // timedelta(microseconds=1)


def _rule(path: Path, number: int, table: Mapping[str, object]) -> Rule:
    row = dict(table)
    shown = repr(row["rule_id"]) if row.get("rule_id") else f"number {number}"
    expires = row.pop("expires_at", None)
    if expires is not None:
        if not isinstance(expires, datetime):
            msg = f"{path}, rule {shown}: expires_at = {expires!r} cannot be used; expected a time such as 2026-12-24T18:00:00Z"
            raise RuleError(msg)
        row["expires_at_us"] = microseconds(expires)
    try:
        return named(row)
    except RuleError as error:
        msg = f"{path}, rule {shown}: {error}"
        raise RuleError(msg) from error
