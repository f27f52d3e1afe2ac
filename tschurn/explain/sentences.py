"""feature, value, what was usual for the user and on average → a sentence for people, in English and Korean.

A sentence says what is, and sets it against what was usual for this very user before and what is average (or, of
times, typical):
"“post” twice in the last 7 days, less than their usual 6.8 and the average of 7.5". It holds whichever way the
numbers differ. The heading above it says of what it is a reason; only where nothing is unusual does the sentence
say that it counts together with others. The words are in sentences.toml, by kind of feature.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache, cached_property
from importlib import resources
from typing import Any, Literal

import numpy as np
import pandas as pd

Target = Literal["churn", "sticker"]

# Below this a number is told as "<0.001": nobody reads further digits.
_SMALLEST = 0.001
# Nearer than this share of the larger number, or than this where things are counted, is "about" the same.
_NEAR, _NEAR_COUNTED = 0.1, 0.5
_FOLDED = "other"  # the event name of all that are too rare for a feature of their own
_UNKNOWN, _LESS, _ABOUT, _SAME, _MORE = range(5)  # how a value stands to another one


def sentences(
    features: pd.DataFrame,
    place: np.ndarray,
    value: np.ndarray,
    before: np.ndarray,
    typical: np.ndarray,
    target: Target,
) -> pd.DataFrame:
    """Features [f], which of them is told in each sentence [n], its value, the user's own before, all users' → [n].

    features: as of `reasons.described`. Numbers that are not known are NaN. Columns en and ko. Each text that is
    not like another is put together once.
    """
    kinds = [_kind(f) for f in features.itertuples(index=False)]
    kind = np.array([k.name for k in kinds], dtype=object)[place] if len(place) else np.empty(0, dtype=object)
    numbers = np.stack([np.asarray(x, dtype=np.float64) for x in (value, before, typical)], axis=1).reshape(-1, 3)
    texts = np.full(numbers.shape, "", dtype=object)
    codes = np.zeros((len(numbers), 2), dtype=np.int64)
    for name in sorted(set(kind)):
        rows, how = np.flatnonzero(kind == name), _words()[name]
        part = numbers[rows]
        if how.get("a_day"):
            part = part / np.array([max(k.days, 1) for k in kinds])[place[rows], None]
        if how.get("compared") == "share":  # a yes or no: the users for whom it is as for this one
            part[:, 2] = np.where(part[:, 0] > 0, part[:, 2], 1 - part[:, 2])
        texts[rows] = _numbers(part, how)
        codes[rows] = [[0, 0]] if how.get("compared") == "no" else _standing(part, texts[rows], how.get("counted"))
    table = pd.DataFrame({"place": place, "codes": codes @ [10, 1]})
    table[["value", "before", "typical"]] = texts
    table["sign"] = np.nan_to_num(np.sign(numbers[:, 0])).astype(int)
    table["known"] = np.isfinite(numbers[:, 0])
    kinds_of = table.groupby(list(table.columns), sort=False).ngroup().to_numpy()
    first = table[~table.duplicated()]
    told = [_told(kinds[row.place], row, target) for row in first.itertuples(index=False)]
    return pd.DataFrame(told, columns=["en", "ko"], dtype="str").iloc[kinds_of].reset_index(drop=True)


def typical(features: pd.DataFrame, values: np.ndarray) -> np.ndarray:
    """Features [f] as of `sentences`, their values in many windows [n × f], NaN for unknown → what is usual of all [f].

    The mean; of times, the median. NaN where no value is known.
    """
    medians = [_words()[_kind(f).name].get("centre") == "median" for f in features.itertuples(index=False)]
    found = np.full(len(medians), np.nan)
    for i, (median, column) in enumerate(zip(medians, np.asarray(values, dtype=np.float64).T, strict=True)):
        known = column[np.isfinite(column)]
        if len(known):
            found[i] = np.median(known) if median else known.mean()
    return found


@cache
def _words() -> dict[str, Any]:
    return tomllib.loads((resources.files("tschurn.explain") / "sentences.toml").read_text(encoding="utf-8"))


# --- features -------------------------------------------------------------------------------------
@dataclass(frozen=True)
class _Kind:
    """Of a feature: its section in sentences.toml, the days it looks back on, and what stands in its sentences."""

    name: str
    days: int
    en: dict[str, str]
    ko: dict[str, str]


def _kind(feature: Any) -> _Kind:
    """A row of FEATURES → how it is told; by its label where no kind fits."""
    name = event = feature.event_name if isinstance(feature.event_name, str) else None
    kind = feature.measure
    if kind in ("count", "value"):
        kind = "anything" if event is None else f"{feature.side}_{kind}"
    elif kind == "actors":
        kind = "actors" if event is None else "actors_of_event"
    elif feature.feature == "window:recency":
        kind = "window_recency"
    elif feature.feature == "history:week:1":
        kind = "active_days"
    elif kind == "fact":
        kind, name = _fact(feature)
    if kind not in _words() or kind in ("words", "usual", "centre", "together", "weekdays"):
        kind = "anything"
    days = 0 if pd.isna(feature.lookback) else int(feature.lookback)
    folded = event == _FOLDED
    said = {"days": days, "far": days - 1, "near": days - 7}
    return _Kind(
        kind,
        days,
        {**said, "name": "other acts" if folded else f"“{name}”", "label": feature.label_en,
         "span": "on the last day" if days == 1 else f"in the last {days} days"},
        {**said, "name": "그 외 활동" if folded else f"‘{name}’", "label": feature.label_ko, "span": f"최근 {days}일"},
    )  # fmt: skip


def _fact(feature: Any) -> tuple[str, str]:
    """Kind and name of a fact: a number, one of several texts, or that it is not known."""
    name = feature.feature.removeprefix("history:fact:")
    if feature.label_en == name:
        return "fact", name
    unknown = name.removesuffix(":unknown")
    return ("fact_unknown", unknown) if feature.label_en == f"{unknown} not known" else ("fact_text", feature.label_en)


# --- numbers --------------------------------------------------------------------------------------
def for_people(numbers: np.ndarray) -> pd.Series:
    """Numbers [n] → texts [n]: 1,234 · 56.7 · 5 · 0.37 · <0.001; a missing one is "–"."""
    numbers = np.asarray(numbers, dtype=np.float64)
    size = np.abs(numbers)
    decimals = np.select([size >= 100, size >= 1, size >= 0.1, size >= 0.01], [0, 1, 2, 3], 4)
    rounded = np.round(numbers * 10.0**decimals) / 10.0**decimals  # np.round takes one number of decimals only
    rounded = np.where((size > 0) & (size < _SMALLEST), np.sign(numbers) * _SMALLEST / 2, rounded)
    distinct, place = np.unique(rounded, return_inverse=True)
    return pd.Series(np.array([_text(x) for x in distinct], dtype=object)[place], dtype="str")


def _text(number: float) -> str:
    if np.isnan(number):
        return "–"
    if 0 < abs(number) < _SMALLEST:
        return f"<{_SMALLEST}" if number > 0 else f">-{_SMALLEST}"
    text = f"{number:,.4f}".rstrip("0").rstrip(".")
    return "0" if text == "-0" else text


def _numbers(numbers: np.ndarray, how: dict[str, Any]) -> np.ndarray:
    """Values, those before and typical ones [n × 3] → their texts; the value's by its size where there is a minus."""
    flat = numbers.ravel()
    if how.get("number") == "share":
        percent = flat * 100
        shown = for_people(np.where(np.abs(percent) >= 10, np.round(percent), np.round(percent, 1))) + "%"
    elif how.get("number") == "hour":
        half = np.nan_to_num(np.round(flat * 2)).astype(int)
        shown = pd.Series([f"{h // 2 % 24}:{h % 2 * 30:02d}" for h in half], dtype="str")
    elif how.get("number") == "weekday":
        shown = pd.Series(np.nan_to_num(flat).astype(int) % 7).astype("str")
    else:
        shown = for_people(np.abs(flat) if how.get("signed") else flat)
    texts = shown.to_numpy(dtype=object).reshape(numbers.shape)
    if how.get("signed"):
        signs = np.select([numbers > 0, numbers < 0], ["+", "\N{MINUS SIGN}"], "")
        texts[:, 1:] = np.where(texts == "0", texts, signs + texts)[:, 1:]
    return texts


def _standing(numbers: np.ndarray, texts: np.ndarray, counted: bool | None) -> np.ndarray:
    """Values, those before and typical ones, and their texts [n × 3] → how the values stand to the others [n × 2]."""
    value, others = numbers[:, :1], numbers[:, 1:]
    with np.errstate(invalid="ignore"):
        apart = np.abs(value - others)
        near = apart <= _NEAR * np.maximum(np.abs(value), np.abs(others))
        if counted:
            near |= (apart < _NEAR_COUNTED) & (value != 0)
        known = np.isfinite(value) & np.isfinite(others)
        same = texts[:, :1] == texts[:, 1:]
        return np.select([~known, same, near, value < others], [_UNKNOWN, _SAME, _ABOUT, _LESS], _MORE)


# --- texts ----------------------------------------------------------------------------------------
def _told(kind: _Kind, row: Any, target: Target) -> tuple[str, str]:
    """A kind of feature and the texts of its numbers → the sentence in English and Korean."""
    how = _words()[kind.name]
    variant, compared = _variant(how, row), "no"
    if row.known:
        compared = how.get("compared_at_zero" if row.sign == 0 else "compared", "words")
    codes = divmod(row.codes, 10) if compared != "no" else (_UNKNOWN, _UNKNOWN)
    comparison = _Comparison(how, compared, codes, row.before, row.typical, target)
    times = {"1": "once", "2": "twice"}.get(row.value, f"{row.value} times")
    texts = {}
    for language, said in (("en", kind.en), ("ko", kind.ko)):
        value = row.value
        if how.get("number") == "weekday" and row.known:
            value = _words()["weekdays"][language][int(value)]
        template = how.get(f"{language}_{variant}")
        if template is None:
            template = how[language] if row.known else _words()["anything"][f"{language}_unknown"]
        texts[language] = template.format(**said, value=value, times=times)
    english = texts["en"] + comparison.english()
    return english[:1].upper() + english[1:], comparison.korean(texts["ko"])


def _variant(how: dict[str, Any], row: Any) -> str:
    if not row.known:
        return "unknown"
    if row.sign == 0:
        return "zero"
    return "minus" if row.sign < 0 else "one" if row.value == "1" else "many"


@dataclass(frozen=True)
class _Comparison:
    """How a value stands to what was usual for the user and for all: `codes`, and the texts of the two."""

    how: dict[str, Any]
    compared: str
    codes: tuple[int, int]
    before: str
    typical: str
    target: Target

    @cached_property
    def known(self) -> list[int]:
        """Which of the two there is: 0 for the user's own, 1 for that of all."""
        return [i for i, code in enumerate(self.codes) if code != _UNKNOWN]

    @cached_property
    def together(self) -> bool:
        """Whether neither difference is one that by itself speaks for the target."""
        expected = self.how.get("good", 0) * (1 if self.target == "sticker" else -1)
        speaks = {_LESS, _MORE} if expected == 0 else {_MORE} if expected > 0 else {_LESS}
        return self.compared in ("words", "plain") and not any(self.codes[i] in speaks for i in self.known)

    def _part(self, section: str, name: str, language: str) -> Any:
        return _words()[section][name][language]

    def english(self) -> str:
        """→ what follows the fact."""
        if not self.known:
            return ""
        usual, short = self._part("usual", self.how.get("usual", "usual"), "en")
        centre, shortly, alike = self._part("centre", self.how.get("centre", "mean"), "en")
        more = f", but {self._part('together', self.target, 'en')}" if self.together else ""
        if self.compared == "share":
            return f" ({self.typical} of users)" if 1 in self.known else ""
        if self.compared == "plain":
            numbers = (f"{short} {self.before}", f"{shortly} {self.typical}")
            return f" ({', '.join(numbers[i] for i in self.known)}){more}"
        less, greater = self._part("words", self.how.get("words", "amount"), "en")
        words = {_LESS: less, _MORE: greater, _ABOUT: "about"}
        of = ("none before" if self.before == "0" else f"{usual} {self.before}", f"{centre} {self.typical}")
        clauses = [
            ("as before", alike)[i] if self.codes[i] == _SAME else f"{words[self.codes[i]]} {of[i]}" for i in self.known
        ]
        if len(clauses) == 2 and self.codes[0] == self.codes[1] != _SAME:
            clauses = [f"{clauses[0]} and {of[1]}"]
        return f", {(' and ' if self.together else ', but ').join(clauses)}{more}"

    def korean(self, text: str) -> str:
        """A Korean text "stem|link|end" → the sentence."""
        stem, link, end = text.rsplit("|", 2)
        if not self.known:
            return stem + end
        usual, particle = self._part("usual", self.how.get("usual", "usual"), "ko")
        centre, of_centre = self._part("centre", self.how.get("centre", "mean"), "ko")
        names, particles, unit = (usual, centre), (particle, of_centre), self.how.get("unit", "")
        numbers = [f"{number}{unit}" for number in (self.before, self.typical)]
        more = f" {self._part('together', self.target, 'ko')}" if self.together else ""
        if self.compared == "share":
            return f"{stem}{end}" + (f"(사용자의 {self.typical})" if 1 in self.known else "")
        if self.compared == "plain":
            listed = ", ".join(f"{names[i]} {numbers[i]}" for i in self.known)
            return f"{stem}{end}({listed})" + (f".{more}" if more else "")
        words = self._part("words", self.how.get("words", "amount"), "ko")
        of = [f"{name}({number})" for name, number in zip(names, numbers, strict=True)]

        def clause(i: int, ending: int, of_what: str) -> str:
            """ending: 0 "though", 1 at the end, 2 "and"."""
            code = self.codes[i]
            if code in (_LESS, _MORE):
                though, ends = words[code == _MORE]
                return f"{of_what}보다 {(though, ends, though.removesuffix('지만') + '고')[ending]}"
            if code == _SAME:
                return f"{names[i]}{particles[i]} {('같지만', '같습니다', '같고')[ending]}"
            return f"{of_what}{particles[i]} {('비슷하지만', '비슷합니다', '비슷하고')[ending]}"

        last = 0 if self.together else 1
        if len(self.known) == 1:
            said = clause(self.known[0], last, of[self.known[0]])
        elif self.codes[0] == self.codes[1] != _SAME:
            joined = f"{of[0]}, {of[1]}" if self.codes[0] == _ABOUT else f"{of[0]}{particle} {of[1]}"
            said = clause(1, last, joined)
        else:
            said = f"{clause(0, 2 if self.together else 0, of[0])} {clause(1, last, of[1])}"
        return f"{stem}{link}{' ' if link == ',' else ', '}{said}{more}"
