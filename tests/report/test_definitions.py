"""Each figure's definition on demand: there is one for every figure, in both languages, and none for nothing."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest

from tschurn.report import figures as fig
from tschurn.report.render import family
from tschurn.report.summary import summarise
from tschurn.report.words import LANGUAGES, Texts

made = runpy.run_path(str(Path(__file__).parent / "fixture_tables.py"))
SOURCES = "".join(f.read_text(encoding="utf-8") for f in sorted(Path(fig.__file__).parent.glob("*.py")))


@pytest.fixture(scope="module")
def drawn() -> list[str]:
    names: dict[str, None] = {}
    for simulated in (False, True):
        experiment, tables = made["experiment"](simulated=simulated), made["tables"]()
        summary = summarise(tables, [], experiment, made["manifest"]())
        names |= dict.fromkeys(fig.draw(tables, summary, Texts.load("en")))
    return list(names)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_figure_has_a_definition(drawn: list[str], language: str) -> None:
    texts = Texts.load(language)
    assert {name for name in drawn if not family(name, texts)} == set()
    assert {"ap-churn", "bees-churn-2", "ceiling"} <= set(drawn)


def test_every_definition_has_a_figure() -> None:
    """By its name, or how it begins, in the modules that draw: few tables give all figures."""
    for key in Texts.load("en").section("definitions"):
        names = (f'"{key}"', f'"{key}-', f'"{key.rpartition("-")[0]}-{{')
        assert any(name in SOURCES for name in names), key


@pytest.mark.parametrize(
    ("name", "key"),
    [("cells", "cells"), ("cells-churn", "cells-churn"), ("bees-churn-2", "bees"), ("follows", "follows"),
     ("follows-difference", "follows-difference"), ("season-own:post-x", "season"), ("user-days-churn", "user-days"),
     ("days-sticker", "days"), ("versus-ap-churn", "versus-ap"), ("ap-churn", "ap"), ("apple", ""), ("", "")],
)  # fmt: skip
def test_the_longest_beginning_counts(name: str, key: str) -> None:
    assert family(name, Texts.load("en")) == key


@pytest.mark.parametrize("language", LANGUAGES)
def test_definitions_are_two_or_three_sentences(language: str) -> None:
    """Long enough to say what is counted and how to read it, short enough to be read. (A colon may start a fourth.)"""
    for key, text in Texts.load(language).section("definitions").items():
        assert 2 <= text.count(". ") + 1 <= 4 and len(text) < 520, key
