"""What is written can be read, in the light and in the dark; every colour has its counterpart in the dark."""

from __future__ import annotations

import itertools
import re
from pathlib import Path

import pytest

from tschurn.report import theme

CSS = (Path(theme.__file__).parent / "templates" / "report.css").read_text(encoding="utf-8")
PAIRS = {name: (light, dark) for name, light, dark in
         re.findall(r"--([\w-]+): light-dark\((#\w{6}), (#\w{6})\)", CSS)}  # fmt: skip
READABLE = 4.5  # WCAG 2.2, level AA, for text of ordinary size


def contrast(one: str, other: str) -> float:
    """WCAG's ratio of two colours."""

    def luminance(colour: str) -> float:
        parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
        red, green, blue = (p / 12.92 if p <= 0.04045 else ((p + 0.055) / 1.055) ** 2.4 for p in parts)
        return 0.2126 * red + 0.7152 * green + 0.0722 * blue

    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


WRITTEN = [*itertools.product(("ink", "soft", "accent"), ("paper", "ground")), ("accent", "accent-soft"),
           ("warn-ink", "warn"), ("alarm-ink", "alarm")]  # fmt: skip


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
@pytest.mark.parametrize(("text", "ground"), WRITTEN)
def test_text_can_be_read(text: str, ground: str, scheme: int) -> None:
    assert contrast(PAIRS[text][scheme], PAIRS[ground][scheme]) >= READABLE


def test_figures_use_no_colour_that_has_no_counterpart_in_the_dark() -> None:
    known = {c.lower() for c in vars(theme).values() if isinstance(c, str) and re.fullmatch(r"#\w{6}", c)}
    assert {c for c in theme.DARK if c.startswith("#")} == known
    for light, dark in theme.DARK.items():
        assert light.startswith("#") == dark.startswith("#")
    ink, paper = (theme.DARK[c.lower()] for c in (theme.INK, theme.PAPER))
    assert contrast(ink, paper) >= READABLE


def test_no_variable_is_defined_by_itself() -> None:
    defined = re.findall(r"^  --([\w-]+): (.*);$", CSS, re.M)
    assert len(defined) > 15
    assert not [name for name, value in defined if "var(" in value]
