"""The words of the report: the same keys and placeholders in every language, no number by hand."""

from __future__ import annotations

import re
from string import Formatter

import pytest

from tschurn.report.render import Texts

EN, KO = Texts.load("en").words, Texts.load("ko").words


def placeholders(text: str) -> set[str]:
    return {name for _, name, _, _ in Formatter().parse(text) if name}


def test_languages_have_the_same_keys():
    assert list(EN) == list(KO)


@pytest.mark.parametrize("key", EN)
def test_languages_have_the_same_placeholders(key):
    assert placeholders(EN[key]) == placeholders(KO[key])


@pytest.mark.parametrize(("language", "words"), [("en", EN), ("ko", KO)])
def test_texts_hold_no_number_and_only_harmless_tags(language, words):
    for key, text in words.items():
        without = re.sub(r"\{\w+\}|pm4py|</?(b|i|code)>", "", text)
        assert not re.search(r"[0-9<>]", without), (language, key)
        assert text.strip(), (language, key)


def test_korean_is_korean():
    same = {k for k in EN if EN[k] == KO[k]}
    abbreviations = {"ap", "auc", "ece", "vif", "t", "p", "q", "card_auc"}
    assert {key.partition(".")[2] for key in same} <= abbreviations
    latin = [k for k, v in KO.items() if k not in same and not re.search("[가-힣]", v)]
    assert latin == []


def test_values_are_escaped_and_words_are_not():
    text = Texts.load("en")("first.found_no_model", target="<img src=x>", why="")
    assert "&lt;img src=x&gt;" in text
    assert "<b>" in text


def test_a_code_without_a_name_stays_readable():
    texts = Texts.load("ko")
    assert texts.name("filters", "repeated") == "다른 행의 중복"
    assert texts.name("filters", "some_new_filter") == "some new filter"
