"""What a work pool would run is what `python -m flows` serves."""

from __future__ import annotations

from datetime import datetime
from inspect import signature
from pathlib import Path

import yaml

from flows.schedule import MANUAL, SCHEDULED, plans
from pipeline.settings import Settings

ROOT = Path(__file__).parents[2]


def test_the_file_has_the_served_deployments():
    found = yaml.safe_load((ROOT / "deployments" / "prefect.yaml").read_text())["deployments"]
    anchor = datetime.fromisoformat("2024-01-01T00:00:00+00:00")
    scheduled, manual = {}, set()
    for one in found:
        path, _, flow = one["entrypoint"].partition(":")
        assert (ROOT / path).is_file()
        if one["name"] == SCHEDULED:
            (schedule,) = one["schedules"]
            offset = datetime.fromisoformat(schedule["anchor_date"]) - anchor
            scheduled[flow] = (schedule["interval"], offset.total_seconds())
            assert one["concurrency_limit"] == {"limit": 1, "collision_strategy": "CANCEL_NEW"}
        else:
            assert one["name"] == MANUAL
            assert "schedules" not in one
            assert one["concurrency_limit"] == {"limit": 1, "collision_strategy": "ENQUEUE"}
            manual.add(flow)
    assert scheduled == {plan.flow.name: (plan.every_s, plan.offset_s) for plan in plans(Settings.model_construct(**defaults()))}
    assert manual == set(scheduled)


def test_its_parameters_are_what_the_served_flows_take():
    found = yaml.safe_load((ROOT / "deployments" / "prefect.yaml").read_text())["deployments"]
    flows = {plan.flow.name: plan.flow for plan in plans(Settings.model_construct(**defaults()))}
    given = [(flows[one["entrypoint"].partition(":")[2]], one["parameters"]) for one in found if "parameters" in one]
    assert len(given) == 12
    for flow, parameters in given:
        asked = {name: parameter.default for name, parameter in signature(flow.fn).parameters.items()}
        bare = flow.validate_parameters(parameters)
        for name, value in parameters.items():
            assert bare[name] == (asked[name] if asked[name] is not None else value), (flow.name, name)


def defaults() -> dict[str, object]:
    """The settings' defaults, whatever the environment says."""
    return {name: field.default for name, field in Settings.model_fields.items()}
