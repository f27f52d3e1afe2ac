"""sentences.py: every feature that exists is told in both languages, with its numbers, and what is told is true."""

from __future__ import annotations

import itertools
import re
import time
from string import Formatter

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tschurn.explain.sentences import _kind, _words, for_people, sentences, typical
from tschurn.features import daily, facts, history, supporters

NAN = float("nan")
NOT_KINDS = {"words", "usual", "centre", "together", "weekdays"}
SETTINGS = supporters.Settings(None, ("gift",), ("post",), ("reply",), quiet_days=14, regular_days=3)


def all_features() -> pd.DataFrame:
    """Every kind of feature that the features stage makes, and what models add, as `reasons.described` gives them."""
    words = pd.DataFrame(
        [("own", "post", True, False), ("own", "rare", False, True), ("received", "gift", True, False)],
        columns=["side", "event_name", "has_value", "folded"],
    )
    days = pd.concat([daily.daily_features(words, "event"), supporters.daily_columns(SETTINGS)])
    known = pd.DataFrame(
        [
            (1, "age", 3.0, None),
            (1, "region", None, "south=east"),
            (2, "region", None, "a: b"),
            (3, "seats", 4.0, None),
        ],
        columns=["user_id", "fact", "number", "text"],
    )
    fact_rows, _ = facts.encode(known, pd.Index([1, 2, 3]), np.ones(3, dtype=bool))
    past = [history.history_features(days, True, True), supporters.level_columns(SETTINGS), fact_rows]
    features = pd.concat([days.assign(lookback=7), *past], ignore_index=True)
    window = features[features["feature"].isin(["history:recency", "history:active_days:7"])]
    window = window.assign(feature=["window:recency", "window:active_days"], lookback=7)
    return pd.concat([features, window], ignore_index=True).astype({"lookback": "Int64"})


FEATURES = all_features()


def told(feature: str, value: float, before: float = NAN, typical: float = NAN, target: str = "churn") -> pd.Series:
    rows = FEATURES[FEATURES["feature"] == feature]
    assert len(rows) == 1, feature
    one = [np.array([number]) for number in (value, before, typical)]
    return sentences(rows, np.array([0]), *one, target).iloc[0]


@pytest.mark.parametrize(
    ("feature", "numbers", "english", "korean"),
    [
        ("own:post:count", (2, 6.8, 7.5), "“post” twice in the last 7 days, less than their usual 6.8 and the average "
         "of 7.5", "최근 7일 ‘post’ 2회로, 평소(6.8회)와 평균(7.5회)보다 적습니다"),
        ("own:post:count", (0, 0, 7.5), "No “post” in the last 7 days, as before, but less than the average of 7.5",
         "최근 7일 ‘post’ 기록이 없어, 평소와 같지만 평균(7.5회)보다 적습니다"),
        ("own:post:count", (1, 0, 0.3), "“post” once in the last 7 days, more than none before and the average of 0.3",
         "최근 7일 ‘post’ 1회로, 평소(0회)와 평균(0.3회)보다 많습니다"),
        ("own:other:count", (5, NAN, 2), "Other acts 5 times in the last 7 days, more than the average of 2",
         "최근 7일 그 외 활동 5회로, 평균(2회)보다 많습니다"),
        ("received:gift:count", (3, 3, 3), "Received “gift” 3 times in the last 7 days, as before and as on average, "
         "but raises the risk together with other signs",
         "최근 7일 받은 ‘gift’ 3회로, 평소와 같고 평균과 같지만 다른 신호와 함께 위험을 높입니다"),
        ("history:sum:received:gift:value:28", (1234.5, NAN, 99),
         "Received “gift” added up to 1,234 in the last 28 days, more than the average of 99",
         "최근 28일 받은 ‘gift’ 금액·값 합계 1,234, 평균(99)보다 많습니다"),
        ("received:actors", (12, 21, 7), "1.7 people a day acted towards them in the last 7 days, less than their "
         "usual 3, but more than the average of 1",
         "최근 7일 활동을 보낸 사람 하루 평균 1.7명으로, 평소(3명)보다 적지만 평균(1명)보다 많습니다"),
        ("received:gift:actors", (7, NAN, 21),
         "Received “gift” from one person a day in the last 7 days, less than the average of 3",
         "최근 7일 ‘gift’ 보낸 사람 하루 평균 1명으로, 평균(3명)보다 적습니다"),
        ("history:recency", (6, 2.5, 3.2), "Last active 6 days ago, more than their usual gap of 2.5 and the typical "
         "3.2", "마지막 활동이 6일 전으로, 평소 간격(2.5일)과 보통 사용자(3.2일)보다 오래되었습니다"),
        ("history:recency", (0, 2.5, 3.2), "Active on the last day (usual gap 2.5, typical 3.2), but raises the risk "
         "together with other signs",
         "마지막 날에 활동했습니다(평소 간격 2.5일, 보통 사용자 3.2일). 다른 신호와 함께 위험을 높입니다"),
        ("window:recency", (NAN, 2, 3), "Not active in the last 7 days", "최근 7일 활동이 없습니다"),
        ("window:active_days", (1, NAN, 3), "Active on 1 of the last 7 days, less than the average of 3",
         "최근 7일 중 1일 활동해, 평균(3일)보다 적습니다"),
        ("history:tenure", (4, NAN, 449), "First active 4 days ago, less than the typical 449",
         "첫 활동이 4일 전으로, 보통 사용자(449일)보다 짧습니다"),
        ("history:active_days:14", (0, 5, 5.2), "Not active on any of the last 14 days, less than their usual 5 and "
         "the average of 5.2", "최근 14일 활동한 날이 없어, 평소(5일)와 평균(5.2일)보다 적습니다"),
        ("history:week:1", (2, NAN, 4), "Active on 2 of the last 7 days, less than the average of 4",
         "최근 7일 중 2일 활동해, 평균(4일)보다 적습니다"),
        ("history:week:3", (0, NAN, 1.3), "Not active from 20 to 14 days ago, less than the average of 1.3",
         "20~14일 전에 활동한 날이 없어, 평균(1.3일)보다 적습니다"),
        ("history:week:3", (NAN, NAN, 1.3), "Was not there yet 14 days ago",
         "14일 전에는 아직 활동을 시작하지 않았습니다"),
        ("history:trend", (-3, NAN, 0.1), "Active on 3 days fewer in the last 14 than in the 14 before (average +0.1)",
         "최근 14일 활동한 날이 이전 14일보다 3일 적습니다(평균 +0.1일)"),
        ("history:trend", (1, NAN, -0.4), "Active on one day more in the last 14 than in the 14 before (average −0.4)",
         "최근 14일 활동한 날이 이전 14일보다 1일 많습니다(평균 −0.4일)"),
        ("history:rate", (0.057, NAN, 0.24), "Active on 5.7% of the days since the first act, less than the average of "
         "24%", "첫 활동 이후 5.7%의 날에 활동해, 평균(24%)보다 낮습니다"),
        ("history:mean_gap", (12.4, NAN, 7.6), "Usually 12.4 days from one active day to the next, more than the "
         "typical 7.6", "활동 간격이 평소 12.4일로, 보통 사용자(7.6일)보다 깁니다"),
        ("history:mean_gap", (NAN, NAN, 7.6), "Has been active on a single day so far",
         "지금까지 활동한 날이 하루뿐입니다"),
        ("history:overdue", (2.3, NAN, 0.9), "Away for 2.3 times their usual gap, more than the typical 0.9",
         "마지막 활동 후 평소 간격의 2.3배가 지나, 보통 사용자(0.9배)보다 깁니다"),
        ("history:weekday", (6, NAN, 3), "The days observed end on a Sunday, as for everybody",
         "모두와 같이 관측 기간이 일요일에 끝납니다"),
        ("history:first_hour", (14.4, NAN, 11),
         "First own act of a day at about 14:30, later than the average of 11:00",
         "하루 첫 활동이 보통 14:30쯤으로, 평균(11:00)보다 늦습니다"),
        ("history:last_hour", (NAN, NAN, 11), "No own act in the last 28 days", "최근 28일 본인 활동이 없습니다"),
        ("history:stickers:28", (1, 2, 3), "One sticker in the last 28 days, less than their usual 2 and the average "
         "of 3", "최근 28일 스티커 1개로, 평소(2개)와 평균(3개)보다 적습니다"),
        ("history:sticker_recency", (NAN, NAN, 12), "No sticker so far", "아직 스티커가 없습니다"),
        ("supporters:quiet", (2, 0.5, 0.4), "2 regular supporters went quiet in the last 7 days, more than their usual "
         "0.5 and the average of 0.4", "최근 7일 조용해진 단골 서포터 2명으로, 평소(0.5명)와 평균(0.4명)보다 많습니다"),
        ("supporters:unanswered", (1, NAN, 0.2), "One post in the last 7 days had no answer by the next day, more than "
         "the average of 0.2", "최근 7일 다음 날까지 답이 없던 게시물 1개로, 평균(0.2개)보다 많습니다"),
        ("supporters:active", (21, 35, 14), "3 supporters a day acted in the last 7 days, less than their usual 5, but "
         "more than the average of 2",
         "최근 7일 활동한 서포터 하루 평균 3명으로, 평소(5명)보다 적지만 평균(2명)보다 많습니다"),
        ("history:supporters:top_share", (0.62, NAN, 0.3), "62% of the received acts come from the top supporter, more "
         "than the average of 30%", "받은 활동의 62%가 최다 후원 서포터에게서 와, 평균(30%)보다 높습니다"),
        ("history:supporters:top_recency", (6, NAN, 2), "The top supporter has not come for 6 days, more than the "
         "typical 2", "최다 후원 서포터가 6일 동안 오지 않아, 보통 사용자(2일)보다 깁니다"),
        ("history:fact:age", (3, NAN, 4), "“age”: 3, less than the average of 4", "‘age’: 3, 평균(4)보다 적습니다"),
        ("history:fact:region=south=east", (1, NAN, 0.12), "“region: south=east” (12% of users)",
         "‘region: south=east’에 해당합니다(사용자의 12%)"),
        ("history:fact:region=a: b", (0, NAN, 0.12), "Not “region: a: b” (88% of users)",
         "‘region: a: b’에 해당하지 않습니다(사용자의 88%)"),
        ("history:fact:age:unknown", (1, NAN, 0.05), "“age” is not known (5% of users)",
         "‘age’ 정보가 없습니다(사용자의 5%)"),
    ],
)  # fmt: skip
def test_a_feature_is_told_so(feature: str, numbers: tuple[float, float, float], english: str, korean: str) -> None:
    assert told(feature, *numbers).to_list() == [english, korean]


def test_every_feature_there_is_has_a_kind() -> None:
    kinds = {f.feature: _kind(f).name for f in FEATURES.itertuples(index=False)}
    assert [f for f, kind in kinds.items() if kind == "anything"] == []
    assert set(kinds.values()) == set(_words()) - NOT_KINDS - {"anything"}


def test_templates_fit_together() -> None:
    known = {"name", "value", "times", "span", "days", "far", "near", "label"}
    for kind, how in _words().items():
        for key, text in how.items():
            if key.startswith(("en", "ko")) and isinstance(text, str) and "|" in text:
                assert key.startswith("ko") and text.count("|") == 2, (kind, key)
            if kind not in NOT_KINDS and key.startswith(("en", "ko")):
                assert {name for _, name, _, _ in Formatter().parse(text) if name} <= known, (kind, key)
                assert key.startswith("en") or text.count("|") == 2, (kind, key)
                assert key.endswith("_one") or (f"ko{key[2:]}" in how and f"en{key[2:]}" in how), (kind, key)


@pytest.mark.parametrize("target", ["churn", "sticker"])
def test_whatever_the_numbers_sentences_are_whole(target: str) -> None:
    values = (NAN, -3.0, 0.0, 0.0004, 0.5, 1.0, 2.0, 6.9, 123456.0)
    cases = list(itertools.product(range(len(FEATURES)), values, (NAN, 0.0, 1.0, 7.1), (NAN, 0.0, 2.0)))
    place, *numbers = (np.array(column) for column in zip(*cases, strict=True))
    texts = sentences(FEATURES, place, *numbers, target)
    assert len(texts) == len(cases)
    for english, korean in set(texts.itertuples(index=False, name=None)):
        for text in (english, korean):
            assert not re.search(r"[{}|–]|\bnan\b|None|  |,,| ,|\(\)", text), text
        assert english[0] in "“<>-−" or not english[0].islower()
        assert re.search(r"(니다|\)|[\d%])$", korean), korean
        assert re.search("[가-힣]", korean), korean


numbers = st.one_of(st.just(NAN), st.integers(0, 60).map(float), st.floats(0, 60))


@settings(deadline=None, max_examples=150)
@given(
    st.sampled_from(["own:post:count", "history:active_days:28", "history:mean_gap", "history:rate", "history:recency",
                     "own:post:value", "history:stickers:14"]), numbers, numbers, numbers,
    st.sampled_from(["churn", "sticker"]),
)  # fmt: skip
def test_comparisons_are_true(feature: str, value: float, before: float, typical: float, target: str) -> None:
    if feature == "history:rate":
        value, before, typical = value / 60, before / 60, typical / 60
    english, korean = told(feature, value, before, typical, target)
    if value == 0 and feature == "history:recency":
        return
    for number, own, named in ((before, True, r"평소(?: 간격)?\("), (typical, False, r"(?:평균|보통 사용자)\(")):
        compared = np.isfinite(value) and np.isfinite(number)
        words = re.search(
            r"(less than|more than|about) (none before|their usual(?: gap of)? |the average of |the typical )", english
        )
        alike = re.search("as before|as on average|as is typical", english)
        assert words is not None or not compared or alike is not None
        which = r"(?:none before|their usual(?: gap of)? )" if own else r"the (?:average of|typical) "
        said = re.search(
            rf"(less than|more than|about) (?:(?:none before|their usual(?: gap of)? \S+) and )?{which}", english
        )
        if not compared:
            assert said is None and not re.search(named, korean)
            continue
        same = re.search("as before" if own else "as on average|as is typical", english) is not None
        assert (said is not None) != same
        if same:
            assert abs(value - number) <= 0.051 * max(value, number) + 0.001
        elif said[1] == "about":
            assert abs(value - number) <= max(0.1 * max(value, number) + 1e-9, 0.5)
        else:
            assert (value < number) == (said[1] == "less than")
    less = {"적", "짧", "낮"}
    for word in re.findall(r"보다 (적|많|짧|깁|길|오래|낮|높)", korean):
        assert ("less than" if word in less else "more than") in english


def test_a_number_as_usual_counts_together_with_others() -> None:
    together = "raises the risk together with other signs"
    assert told("history:active_days:14", 3, 3.1, 3.2)["en"].endswith(together)
    chance = "raises the chance together with other signs"
    assert told("history:active_days:14", 3, 3.1, 3.2, "sticker")["en"].endswith(chance)
    assert together not in told("history:active_days:14", 3, 3.1, 6)["en"]
    assert told("own:post:count", 1, NAN, 0.6)["en"].endswith(f"about the average of 0.6, but {together}")
    assert told("own:post:count", 0, NAN, 0.4)["en"].endswith("less than the average of 0.4")  # none is not about some
    assert together not in told("own:post:count", 9, 3, 3)["en"]  # of an event nobody knows what to expect


@pytest.mark.parametrize(("target", "expected"), [("churn", (False, True)), ("sticker", (True, False))])
def test_so_does_one_that_speaks_against_the_target(target: str, expected: tuple[bool, bool]) -> None:
    few, many = (told("history:active_days:14", n, NAN, 5, target)["en"] for n in (1, 9))
    assert ("together with other signs" in few, "together with other signs" in many) == expected
    gone, here = (told("history:sticker_recency", n, NAN, 50, target)["en"] for n in (99, 9))
    assert ("together with other signs" in gone, "together with other signs" in here) == expected


@pytest.mark.parametrize("name", ["{value}", "a|b|c", "=1+1", "<b>", "%s", "“q”", "한글", "x" * 300])
def test_names_of_the_log_stay_as_they_are(name: str) -> None:
    rows = FEATURES[FEATURES["feature"] == "own:post:count"].assign(event_name=name)
    one = sentences(rows, np.array([0]), *(np.array([n]) for n in (0.0, 2.0, 3.0)), "churn").iloc[0]
    assert one["en"] == f"No “{name}” in the last 7 days, less than their usual 2 and the average of 3"
    assert one["ko"] == f"최근 7일 ‘{name}’ 기록이 없어, 평소(2회)와 평균(3회)보다 적습니다"


def test_what_is_not_known_is_told_by_its_label() -> None:
    row = FEATURES.head(1).assign(feature="x", measure="mood", label_en="how they feel", label_ko="기분")
    one = sentences(row, np.array([0]), *(np.array([n]) for n in (2.0, NAN, 3.0)), "churn").iloc[0]
    assert one.to_list() == ["How they feel: 2, less than the average of 3", "기분: 2, 평균(3)보다 적습니다"]
    assert _kind(row.assign(measure="words").iloc[0]).name == "anything"


def test_one_by_one_is_the_same_as_all_at_once() -> None:
    rng = np.random.default_rng(0)
    place = rng.integers(0, len(FEATURES), 300)
    given_ = [np.where(rng.random(300) < 0.2, NAN, rng.integers(0, 5, 300)) for _ in range(3)]
    texts = sentences(FEATURES, place, *given_, "churn")
    for i in range(300):
        alone = sentences(FEATURES, place[i : i + 1], *(x[i : i + 1] for x in given_), "churn")
        assert texts.iloc[i].to_list() == alone.iloc[0].to_list()


def test_nobody_has_no_sentence() -> None:
    none = sentences(FEATURES, np.empty(0, dtype=int), *([np.empty(0)] * 3), "churn")
    assert none.columns.to_list() == ["en", "ko"] and len(none) == 0


def test_ten_thousand_users_take_about_a_second() -> None:
    rng = np.random.default_rng(0)
    place = rng.integers(0, len(FEATURES), 30_000)
    given_ = [rng.random(30_000) * 100 for _ in range(3)]
    start = time.process_time()
    texts = sentences(FEATURES, place, *given_, "churn")
    assert time.process_time() - start < 4  # about 1 where nothing else runs
    assert texts["en"].nunique() > 20_000


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (5, "5"), (0, "0"), (-0.0, "0"), (1234567.8, "1,234,568"), (99.96, "100"), (12.34, "12.3"), (3.04, "3"),
        (0.374, "0.37"), (0.0421, "0.042"), (0.0034, "0.0034"), (0.0004, "<0.001"), (-0.0004, ">-0.001"),
        (-2.54, "-2.5"), (100.4, "100"), (1e9, "1,000,000,000"), (NAN, "–"), (2e-9, "<0.001"),
    ],
)  # fmt: skip
def test_numbers_for_people(number: float, text: str) -> None:
    assert for_people(np.array([number, 7.0])).tolist() == [text, "7"]


def test_what_is_usual_of_all_is_the_mean_and_of_times_the_median() -> None:
    names = ["own:post:count", "history:recency", "history:mean_gap"]
    features = FEATURES.set_index("feature").loc[names].reset_index()
    values = np.array([[0.0, 1.0, np.nan], [1.0, 2.0, np.nan], [8.0, 300.0, np.nan]])
    np.testing.assert_allclose(typical(features, values), [3.0, 2.0, np.nan])
