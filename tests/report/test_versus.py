"""The page of a comparison: every sentence in both languages, nothing that a log could smuggle in, no dead ends."""

from __future__ import annotations

import base64
import copy
import gzip
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from made_runs import make_run

from tschurn.comparing import compare
from tschurn.report.versus import build, draw, dumbbells, sentences
from tschurn.report.words import LANGUAGES, Texts

HOSTILE = "<script>alert(1)</script>%{x}"
WARNINGS = ("target_missing", "definition", "definition_sticker", "eligible", "log", "test_period", "split", "anchor",
            "people", "ids", "ids_pseudonyms")  # fmt: skip
UNPAIRED = ("definition", "no_common", "few", "one_class", "predictions", None)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    place = tmp_path_factory.mktemp("runs")
    first, second = make_run(place / "first"), make_run(place / "second", noise=3, seed=2, shift=1, quality=[])
    return json.loads(json.dumps(compare(first, second)[0]))


@pytest.fixture
def results(made: dict[str, Any]) -> dict[str, Any]:
    return copy.deepcopy(made)


def told(results: dict[str, Any], language: str) -> list[str]:
    return [str(sentence) for _, sentence in sentences(results, Texts.load(language))]


def pages(folder: Path) -> dict[str, str]:
    """By language, what the page holds."""
    html = (folder / "comparison.html").read_text(encoding="utf-8")
    packed = re.search(r'id="packed-pages">([^<]*)<', html)[1]
    return {k: v["body"] for k, v in json.loads(gzip.decompress(base64.b64decode(packed))).items()}


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("code", WARNINGS)
def test_every_warning_has_its_words(results: dict[str, Any], code: str, language: str) -> None:
    results["warnings"] = [{"code": code, "keys": ["windows.x"], "target": "sticker", "run": "a"}]
    before = told(results | {"warnings": []}, language)
    [warning] = [line for line in told(results, language) if line not in before]
    assert "None" not in warning and "{" not in warning


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("verdict", ["better", "worse", "noise", "same"])
def test_every_verdict_has_its_words(results: dict[str, Any], verdict: str, language: str) -> None:
    results["targets"] = {"churn": results["targets"]["churn"]}
    results["targets"]["churn"]["paired"]["verdict"] = verdict
    line = next(line for line in told(results, language) if "gru" in line)
    words = {
        "en": {
            "better": "better by more",
            "worse": "worse by more",
            "noise": "no more than noise",
            "same": "the same AP",
        },
        "ko": {"better": "낫습니다", "worse": "못합니다", "noise": "우연으로도", "same": "같습니다"},
    }[language]
    assert [key for key, word in words.items() if word in line] == [verdict]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("why", UNPAIRED)
def test_every_reason_for_no_verdict_has_its_words(results: dict[str, Any], why: str | None, language: str) -> None:
    results["targets"]["churn"]["paired"] |= {"verdict": "unknown", "why": why, "used": None}
    assert all("None" not in line for line in told(results, language))


def test_both_languages_are_on_the_page_and_speak_of_the_same_numbers(results: dict[str, Any], tmp_path: Path) -> None:
    build(results, tmp_path)
    found = pages(tmp_path)
    assert set(found) == set(LANGUAGES)
    assert "Who comes first" in found["en"] and "누가 먼저인가" in found["ko"]
    numbers = [sorted(re.findall(r"\d+(?:[.,]\d+)*", " ".join(told(results, language)))) for language in LANGUAGES]
    assert numbers[0] == numbers[1]
    for body in found.values():
        assert "None" not in body and "nan" not in re.sub(r"[a-z]nan|nan[a-z]", "", body.lower())


def test_figures_are_alike_in_both_languages(results: dict[str, Any]) -> None:
    en, ko = (draw(results, Texts.load(language)) for language in ("en", "ko"))
    assert list(en) == list(ko)
    assert {"versus-ap-churn", "versus-importance-churn", "versus-scores"} <= set(en)
    for name in en:
        assert [t.type for t in en[name].data] == [t.type for t in ko[name].data]
        assert en[name].layout.xaxis.title.text != "" and en[name].layout.height == ko[name].layout.height
    dots = sum(len(trace.x) for trace in en["versus-scores"].data[1:])
    assert dots == len(results["list"]["dots"])


def test_names_from_the_log_are_data(results: dict[str, Any], tmp_path: Path) -> None:
    results["a"]["name"] = HOSTILE
    results["differs"]["settings"] = [{"key": HOSTILE, "a": [HOSTILE], "b": None}]
    results["list"]["came"]["shown"][0]["user_id"] = HOSTILE
    results["labels"] = {k: dict.fromkeys(v, HOSTILE) for k, v in results["labels"].items()}
    build(results, tmp_path)
    tags: list[str] = []

    class Tags(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list) -> None:
            tags.append(tag)

    for body in pages(tmp_path).values():
        assert "&lt;script&gt;alert(1)&lt;/script&gt;" in body
        Tags().feed(body)
    assert "script" not in tags
    texts = json.dumps({k: f.to_plotly_json() for k, f in draw(results, Texts.load("en")).items()}, default=str)
    assert "<script" not in texts


def test_what_is_missing_is_a_dash_or_says_why(results: dict[str, Any], tmp_path: Path) -> None:
    """No explanation, no list, no interval: nothing breaks."""
    for about in results["targets"].values():
        about |= {"why": None, "surrogate": {"a": None, "b": None}}
        about["paired"] |= {"verdict": "unknown", "why": "no_common", "used": None, "windows": 0}
        for row in about["models"]:
            row |= {"paired": None, "a": None}
    nobody = {"users": 0, "places": {}, "known": 0, "churned": 0, "shown": []}
    results["list"] |= {"came": nobody, "left": nobody, "movers": [], "dots": [], "jaccard": None, "chance": None,
                        "correlation": dict.fromkeys(results["list"]["correlation"])}  # fmt: skip
    results["b"] |= {"commit": None, "finished": None, "test_first": None, "test_last": None, "anchor_day": None}
    build(results, tmp_path)
    body = pages(tmp_path)["en"]
    assert "One of the runs explains nothing." in body and "No user is scored in both runs." in body
    assert "Nobody." in body and "None" not in body


def test_a_value_on_one_side_only_is_drawn_without_a_way() -> None:
    figure = dumbbells([("x", 0.4, None), ("y", 0.2, 0.3), ("z", None, None)], {"a": "A", "b": "B"}, "AP", ".3f")
    ways, a, b = figure.data
    assert list(ways.x) == [0.2, 0.3, None] and list(a.x) == [0.4, 0.2] and list(b.x) == [0.3]
    assert dumbbells([("z", None, None)], {"a": "A", "b": "B"}, "AP", ".3f") is None
