"""Style sheets, where what they do not say is easily seen by nobody."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from panel.custom import JSComponent

from dashboards import app  # every component is imported with it

ASSETS = Path(app.__file__).parent / "assets"
OURS = [one for one in JSComponent.__subclasses__() if one.__module__.startswith("dashboards")]


@pytest.mark.parametrize("sheet", sorted(ASSETS.glob("*.css")), ids=lambda sheet: sheet.stem)
def test_parts_of_a_layout_are_counted_without_its_style_sheets(sheet):
    """The children of a layout's root begin with its style sheets and end with a button to scroll: `div:nth-of-type` counts its parts."""
    assert not re.findall(r":host(?:\([^)]*\))? > [\w.-]*:(?:nth-child|nth-last-child|first-child|last-child)", sheet.read_text())


@pytest.mark.parametrize("component", OURS, ids=lambda component: component.__name__)
def test_no_component_styles_the_frame_that_panel_names_after_it(component):
    """Panel gives the element around it a class of its name; a rule for that class holds twice."""
    name = re.sub(r"([a-z])([A-Z])", r"\1-\2", component.__name__).lower()
    rules = re.findall(rf"(?:^|[}}\s,])\.{name}\s*(?:\{{([^}}]*)\}}|,)", "\n".join(component._stylesheets))
    assert set(rules) <= {" position: relative; "}


def test_components_are_found():
    assert len(OURS) >= 10
