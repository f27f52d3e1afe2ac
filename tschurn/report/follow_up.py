"""what happened to past lists → follow_up.json, follow_up.html, and the same in a few sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from markupsafe import Markup

from tschurn.report.render import LEVEL, environment
from tschurn.report.words import Texts, share, signed_share, times, whole
from tschurn.runs import write_json, writing

PARTS = ("group", "held_out", "everybody")
POWER = 0.8


def build(results: Mapping[str, Any], folder: Path) -> list[str]:
    """Results of the stage → the two files in `folder`, each whole or not at all; → the sentences, without tags."""
    texts = Texts.load(results["language"])
    told = list(sentences(results, texts))
    html = environment().get_template("follow_up.html.j2").render(
        f=results, t=texts, told=told, parts=PARTS, targets=list(results["pooled"]["effect"]), level=LEVEL
    )  # fmt: skip
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "follow_up.json", results)
    with writing(folder / "follow_up.html") as beside:
        beside.write_text(html, encoding="utf-8", newline="\n")
    return [sentence.striptags() for _, sentence in told]


def sentences(results: Mapping[str, Any], texts: Texts) -> Iterator[tuple[str, Markup]]:
    """Results → (what it is about, a sentence), the most important first."""
    pooled = results["pooled"]

    def say(about: str, key: str, **values: object) -> tuple[str, Markup]:
        return about, texts(f"follow_up.{key}", **values)

    yield say("lists", "lists", weeks=whole(pooled["weeks"]), windows=whole(pooled["windows"]),
              users=whole(pooled["users"]))  # fmt: skip
    yield from _left_out(results, say)
    for target, found in pooled["effect"].items():
        yield from _effect(target, found, texts, say)
    yield from _contact(pooled, say)
    for target, found in pooled["calibration"].items():
        for part in PARTS:
            if one := found[part]:
                yield say("calibration", f"calibration_{part}", what=texts(f"follow_up.what_{target}"),
                          **{k: whole(one[k]) for k in ("windows", "expected", "observed", "low", "high")})  # fmt: skip
        if one := pooled["lift"][target]:
            yield say("lift", "lift", what=texts(f"follow_up.what_{target}"), lift=times(one["lift"]),
                      low=times(one["low"]), high=times(one["high"]), found=share(one["found"]),
                      share=share(one["share"]))  # fmt: skip
    if results["reasons"]:
        some = [row["reason"] for row in results["reasons"] if row["found"]]
        key = "reasons_found" if some else "reasons_none"
        yield say("reasons", key, n=whole(len(results["reasons"])), reasons=", ".join(some))


def _left_out(results: Mapping[str, Any], say: Any) -> Iterator[tuple[str, Markup]]:
    for row in results["read"]:
        day = row["anchor_day"]
        if row["open"]:
            yield say("left_out", "open", day=day, n=whole(row["open"]), last=results["log"]["last_day"],
                      ends=row["ends"])  # fmt: skip
        if row["before"]:
            yield say("left_out", "before", day=day, n=whole(row["before"]), first=results["log"]["first_day"])
        if row["unknown"]:
            yield say("left_out", "unknown", day=day, n=whole(row["unknown"]), ids=", ".join(row["strangers"]))
        if row["inactive"]:
            yield say("left_out", "inactive", day=day, n=whole(row["inactive"]))


def _effect(target: str, found: Mapping[str, Any], texts: Texts, say: Any) -> Iterator[tuple[str, Markup]]:
    what = texts(f"follow_up.what_{target}")
    arms = {"assigned": whole(found["assigned"]), "held_out": whole(found["held_out"])}
    if found["difference"] is None:
        if target == "churn":
            yield say("effect", found["verdict"], **arms)
        return
    good = "fewer" if target == "churn" else "more"
    verdict = {"fewer": "worse", "more": "worse", good: "better"}
    yield say("effect", f"effect_{verdict.get(found['verdict'], found['verdict'])}", what=what, **arms,
              rate_assigned=share(found["rate_assigned"]), rate_held_out=share(found["rate_held_out"]),
              difference=signed_share(found["difference"]), low=signed_share(found["low"]),
              high=signed_share(found["high"]), level=share(LEVEL))  # fmt: skip
    if target != "churn" or found["base"] is None:
        return
    if found["detectable"] is None:
        yield say("effect", "detectable_none", power=share(POWER), base=share(found["base"]))
    else:
        yield say("effect", "detectable", to=share(found["base"] - found["detectable"]), power=share(POWER),
                  base=share(found["base"]))  # fmt: skip
    if found["verdict"] == "too_small":
        for row in found["needed"]:
            if row["weeks"] is not None and (row["hoped"] or row["kept"] == 0.25):
                yield say("effect", "needed", kept=share(row["kept"]), weeks=whole(row["weeks"]),
                          had=whole(found["weeks"]))  # fmt: skip


def _contact(pooled: Mapping[str, Any], say: Any) -> Iterator[tuple[str, Markup]]:
    about, balance = pooled["contact"], pooled["balance"]
    yield say("contact", "contact", **{key: whole(value) for key, value in about.items()})
    for key in ("other_days", "edited"):
        if about[key]:
            yield say("contact", key, n=whole(about[key]))
    if not about["assigned_contacted"] and about["assigned"]:
        yield say("contact", "nobody_contacted")
    if balance["suspicious"]:
        yield say("contact", "suspicious", assigned=share(balance["assigned"]), held_out=share(balance["held_out"]))
