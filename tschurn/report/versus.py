"""what differs between two runs → comparison.json, comparison.html, and the same in a few sentences."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
from markupsafe import Markup

from tschurn.report.quality import PARTS, words_of
from tschurn.report.render import LEVEL, LIFTS, Body, environment, shell
from tschurn.report.theme import BLUE, GREEN, GREY, LIGHT, ORANGE, finish, safe, short, ticks
from tschurn.report.words import LANGUAGES, Texts, score, share, signed, times, whole
from tschurn.runs import write_json, writing

SIDES = ("a", "b")
SETTINGS_TOLD, COLUMNS_TOLD = 4, 12
METRICS_SHOWN = ("base_rate", "accuracy", "ap", "micro_ap", "auc", "brier", "ece", "lift_10", "lift_20")
DOTS = (("neither", LIGHT, 5), ("left", ORANGE, 7), ("came", BLUE, 7), ("both", GREEN, 7))
_PLACES = ("priority", "other_churners", "favourites", "rest", "not_active", "too_new", "unknown")


def build(results: Mapping[str, Any], folder: Path) -> list[str]:
    """Results of comparing → the two files in `folder`, each whole or not at all; → the sentences, without tags."""
    first = results["language"]
    bodies, figures = {}, {}
    for language in sorted(LANGUAGES, key=lambda name: name != first):
        texts = Texts.load(language)
        figures[language] = draw(results, texts)
        html = environment().get_template("versus.html.j2").render(
            v=results, t=texts, told=list(sentences(results, texts)), figures=figures[language], languages=LANGUAGES,
            sides=SIDES, labels=results["labels"][language], metric_names=METRICS_SHOWN, lifts=LIFTS, level=LEVEL,
            findings={k: [finding(row, texts) for row in rows] for k, rows in results["quality"].items()},
            place=lambda code, texts=texts: place(code, texts), columns_told=COLUMNS_TOLD,
        )  # fmt: skip
        bodies[language] = Body(texts("versus.title", a=results["a"]["name"], b=results["b"]["name"]).striptags(),
                                Markup(html))  # fmt: skip
    page = shell(bodies, figures, {})
    told = [sentence.striptags() for _, sentence in sentences(results, Texts.load(first))]
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "comparison.json", results)
    with writing(folder / "comparison.html") as beside:
        beside.write_text(page, encoding="utf-8", newline="\n")
    return told


def finding(row: Mapping[str, Any], texts: Texts) -> dict[str, Any]:
    """A finding about the log → its severity and its sentences."""
    values = words_of(row, texts)
    return {"severity": row["severity"], "check": row["check"],
            **{part: texts(f"quality_{part}.{row['check']}", **values) for part in PARTS}}  # fmt: skip


def place(code: str, texts: Texts) -> str | Markup:
    """A segment, or why there is no score."""
    return texts.name("versus" if f"versus.{code}" in texts.words else "segments", code)


# --- in sentences ---------------------------------------------------------------------------------
def sentences(results: Mapping[str, Any], texts: Texts) -> Iterator[tuple[str, Markup]]:
    """Results → (what it is about, a sentence): what differs, what cannot be compared, and what came of it."""

    def say(about: str, key: str, **values: object) -> tuple[str, Markup]:
        return about, texts(f"versus.{key}", **values)

    yield from _asked(results, say)
    for row in results["warnings"]:
        yield say("warning", f"warn_{row['code']}", **_about_warning(row, results, texts))
    for target, found in results["targets"].items():
        yield from _models(target, found, results["labels"][texts.language], texts, say)
    yield from _list(results, texts, say)
    new, gone = (results["quality"][k] for k in ("new", "gone"))
    if new or gone:
        yield say("quality", "quality", new=whole(len(new)), gone=whole(len(gone)))
    else:
        yield say("quality", "quality_same")


def _asked(results: Mapping[str, Any], say: Any) -> Iterator[tuple[str, Markup]]:
    a, b, differs = results["a"], results["b"], results["differs"]
    if settings := differs["settings"]:
        told = "; ".join(f"{r['key']}: {plainly(r['a'])} → {plainly(r['b'])}" for r in settings[:SETTINGS_TOLD])
        more = len(settings) - SETTINGS_TOLD
        yield say("asked", "settings_more" if more > 0 else "settings", n=whole(len(settings)), told=told,
                  more=whole(more))  # fmt: skip
    else:
        yield say("asked", "settings_same")
    counts = ("rows", "users", "first_day", "last_day")
    if differs["files"] or any(a[k] != b[k] for k in counts):
        both = {
            f"{k}_{s}": whole(v[k]) if k in ("rows", "users") else v[k] for s, v in (("a", a), ("b", b)) for k in counts
        }
        yield say("asked", "log", **both)
    else:
        yield say("asked", "log_same", rows=whole(b["rows"]), users=whole(b["users"]))
    if differs["versions"]:
        yield say("asked", "versions", n=whole(len(differs["versions"])))
    if a["commit"] != b["commit"]:
        yield say("asked", "commit", a=(a["commit"] or "–")[:10], b=(b["commit"] or "–")[:10])


def _about_warning(row: Mapping[str, Any], results: Mapping[str, Any], texts: Texts) -> dict[str, object]:
    values: dict[str, object] = {"keys": ", ".join(row.get("keys", ()))}
    if "target" in row:
        values |= {"target": texts(f"targets.{row['target']}"), "run": row["run"].upper()}
    days = ("test_first", "test_last", "anchor_day")
    return values | {f"{k}_{s}": results[s][k] or "–" for k in days for s in SIDES}


def _models(
    target: str, found: Mapping[str, Any], labels: Mapping[str, str], texts: Texts, say: Any
) -> Iterator[tuple[str, Markup]]:
    used, paired = found["used"], found["paired"]
    whole_test = {s: next(m for m in found["models"] if m["model"] == used[s])[s] for s in SIDES}
    about = {"target": texts(f"targets.{target}"), "a": used["a"], "b": used["b"]}
    if paired["verdict"] == "unknown":
        why = texts(f"versus.unpaired_{paired['why'] or 'undefined'}", n=whole(paired["windows"]))
        yield say(
            "models", "model_unknown", **about, why=why, **{f"ap_{s}": _value(whole_test[s], "ap") for s in SIDES}
        )
    else:
        ap = paired["used"]["ap"]
        yield say("models", f"model_{paired['verdict']}", **about, windows=whole(paired["windows"]), level=share(LEVEL),
                  ap_a=score(ap["a"]), ap_b=score(ap["b"]), difference=signed(ap["difference"]), low=signed(ap["low"]),
                  high=signed(ap["high"]))  # fmt: skip
        if paired["relabelled"]:
            yield say("models", "relabelled", n=whole(paired["relabelled"]))
        if paired["drawn"] < paired["windows"]:
            yield say("models", "drawn", n=whole(paired["drawn"]))
    yield say("calibration", "calibration", target=about["target"],
              **{f"{m}_{s}": _value(whole_test[s], m) for m in ("ece", "base_rate") for s in SIDES})  # fmt: skip
    if why := found["why"]:
        yield say("why", "why", target=about["target"], both=whole(why["top_both"]), top=whole(why["top"]))
        if why["turned"]:
            names = [labels.get(name, name) for name in why["turned"]]
            yield say(
                "why", "turned", target=about["target"], n=whole(len(names)), names="; ".join(names[:SETTINGS_TOLD])
            )


def _value(metrics: Mapping[str, Any] | None, metric: str) -> str:
    return score(((metrics or {}).get(metric) or {}).get("value"))


def _list(results: Mapping[str, Any], texts: Texts, say: Any) -> Iterator[tuple[str, Markup]]:
    found = results["list"]
    group, scored = found["group"], found["scored"]
    yield say("list", "group", a=whole(group["a"]), b=whole(group["b"]), both=whole(group["both"]),
              came=whole(found["came"]["users"]), left=whole(found["left"]["users"]))  # fmt: skip
    if found["jaccard"] is not None and scored["both"]:
        yield say(
            "list", "jaccard", n=whole(scored["both"]), jaccard=times(found["jaccard"]), chance=times(found["chance"])
        )
    gone = sum(found["left"]["places"].get(p, 0) for p in ("not_active", "too_new", "unknown"))
    if gone:
        yield say("list", "left_unscored", n=whole(gone), left=whole(found["left"]["users"]))
    if found["left"]["known"]:
        yield say("list", "left_churned", n=whole(found["left"]["churned"]), known=whole(found["left"]["known"]))
    if found["correlation"]["p_churn"] is not None:
        yield say("list", "correlation", correlation=score(found["correlation"]["p_churn"]))


def plainly(value: Any) -> str:
    """A value of a configuration in a sentence."""
    if value is None:
        return "–"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


# --- in figures -----------------------------------------------------------------------------------
def draw(results: Mapping[str, Any], texts: Texts) -> dict[str, go.Figure]:
    """The figures for which there is something to show, by id."""
    found: dict[str, go.Figure | None] = {}
    names = {s: f"{s.upper()} · {safe(results[s]['name'], 1)}" for s in SIDES}
    for target, about in results["targets"].items():
        rows = [(m["model"], *((m[s] or {}).get("ap", {}).get("value") for s in SIDES)) for m in about["models"]]
        found[f"versus-ap-{target}"] = dumbbells(rows, names, texts.plain("figures.ap_test"), ".3f")
        if about["why"]:
            labels = results["labels"][texts.language]
            rows = [(labels.get(r["feature"], r["feature"]), r["share_a"], r["share_b"]) for r in about["why"]["shown"]]
            found[f"versus-importance-{target}"] = dumbbells(rows, names, texts.plain("versus.share_axis"), ".1%")
    found["versus-scores"] = scores(results["list"]["dots"], texts)
    return {name: figure for name, figure in found.items() if figure is not None}


def dumbbells(
    rows: Sequence[tuple[str, Any, Any]], names: Mapping[str, str], axis: str, digits: str
) -> go.Figure | None:
    """(name, value in a, value in b) → a row each: where it was, where it is, and the way between."""
    rows = [row for row in rows if row[1] is not None or row[2] is not None]
    if not rows:
        return None
    ways = [(y, a, b) for y, (_, a, b) in enumerate(rows) if a is not None and b is not None]
    figure = go.Figure()
    figure.add_scatter(
        x=[v for _, a, b in ways for v in (*short([a, b]), None)], y=[v for y, *_ in ways for v in (y, y, None)],
        mode="lines", line={"color": LIGHT, "width": 4}, hoverinfo="skip", showlegend=False,
    )  # fmt: skip
    looks = (
        ("a", {"symbol": "circle-open", "color": GREY, "size": 13, "line": {"width": 2.5}}),
        ("b", {"symbol": "circle", "color": BLUE, "size": 9}),
    )  # a ring, so that both show where they are equal
    for i, (side, look) in enumerate(looks, start=1):
        there = [(y, row) for y, row in enumerate(rows) if row[i] is not None]
        figure.add_scatter(
            x=short([row[i] for _, row in there]), y=[y for y, _ in there], mode="markers", name=names[side],
            marker=look, text=[safe(row[0]) for _, row in there],
            hovertemplate=f"{names[side]}<br>%{{text}}: %{{x:{digits}}}<extra></extra>",
        )  # fmt: skip
    figure.update_yaxes(ticks([safe(row[0]) for row in rows]), range=[len(rows) - 0.4, -0.6], showgrid=False)
    figure.update_xaxes(title_text=axis, rangemode="tozero", tickformat=".0%" if digits.endswith("%") else None)
    return finish(figure, 110 + 34 * len(rows), legend=True)


def scores(dots: Sequence[Mapping[str, Any]], texts: Texts) -> go.Figure | None:
    """p_churn of users scored in both, and who of them is on which list."""
    if not dots:
        return None
    figure = go.Figure()
    figure.add_scatter(x=[0, 1], y=[0, 1], mode="lines", line={"color": GREY, "width": 1, "dash": "dot"},
                       hoverinfo="skip", showlegend=False)  # fmt: skip
    for group, colour, size in DOTS:
        some = [dot for dot in dots if dot["group"] == group]
        figure.add_scatter(
            x=short([d["p_churn_a"] for d in some], 4), y=short([d["p_churn_b"] for d in some], 4), mode="markers",
            name=texts.plain(f"versus.dots_{group}"),
            marker={"color": colour, "size": size, "opacity": 0.8, "line": {"width": 0}},
            hovertemplate="A %{x:.1%} → B %{y:.1%}<extra></extra>",
        )  # fmt: skip
    for update, side in ((figure.update_xaxes, "A"), (figure.update_yaxes, "B")):
        update(title_text=texts.plain("versus.p_axis", run=side), range=[-0.02, 1.02], tickformat=".0%")
    return finish(figure, 460, legend=True)
