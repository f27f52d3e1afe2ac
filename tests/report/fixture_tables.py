"""Nothing → a full set of made-up tables of a run, each valid by its contract, with hostile names in them."""

from __future__ import annotations

import json
from datetime import date, timedelta

import numpy as np
import pandas as pd

from tschurn import config, contracts
from tschurn.exploration import census, cohorts, deciles, survival

FIRST = date(2024, 1, 1)
DAYS = 140
LONG = "아주긴이벤트이름" * 25  # 200 characters
HOSTILE = (
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(2)>',
    "</script>",
    LONG,
    "%{x} <b>bold</b> {{ 7 * 7 }}",
)
EVENTS = ("post", "comment", "gift", "follow", *HOSTILE)
BY_NAME = {t.name: t for t in vars(contracts).values() if isinstance(t, contracts.Table)}
USERS = 600


def experiment(
    language: str = "en", sticker: bool = True, simulated: bool = False, **sections: dict
) -> config.Experiment:
    """The experiment of these tables; whether their log counts as simulated."""
    source = {"dataset": "creator_platform"} if simulated else {"path": "/somewhere/private/events.parquet"}
    events = list(config.PLATFORM_STICKERS) if simulated else ["gift", HOSTILE[0]]
    raw = {
        "experiment": {"name": "made up", "language": language},
        "log": source | {"timezone": "Asia/Seoul"},
        "targets": {"churn": {}} | ({"sticker": {"events": events}} if sticker else {}),
    }
    return config.parse(raw | sections, "fixture")


def manifest() -> dict:
    """What the report may know of the manifest."""
    return {
        "data": [{"path": "/somewhere/private/events.parquet", "size": 123456789, "ends": "ab" * 16}],
        "versions": {"numpy": "2.4.0", "lightgbm": "4.7.0"},
        "commit": "0123456789abcdef0123456789abcdef01234567",
    }


def tables(sticker: bool = True, users: int = USERS) -> dict[str, pd.DataFrame]:
    """Tables of a run by name."""
    targets = ("churn", "sticker") if sticker else ("churn",)
    rng = np.random.default_rng(7)
    found = _log(rng) | _exploration(rng) | _features(rng, users, sticker)
    found |= _models(rng, targets) | _explain(rng, targets) | _segments(rng, users, sticker, targets)
    found |= _simulated(targets)
    for name, frame in found.items():
        BY_NAME[name].check(frame)
    return found


def _log(rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    filters = pd.DataFrame(
        [("not_in_creator_list", 120_000, 800), ("no_own_activity", 4_321, 90), (HOSTILE[1], 0, 0)],
        columns=["filter", "rows_removed", "users_removed"],
    )
    filters["rows_left"] = 1_000_000 - filters["rows_removed"].cumsum()
    filters["users_left"] = 1_490 - filters["users_removed"].cumsum()
    last = FIRST + timedelta(days=DAYS - 1)
    rows = 875_679
    summary = pd.DataFrame(
        [(1_000_000, rows, 500_000, rows - 500_000, 77, USERS, 12_345, FIRST, last, DAYS, False)],
        columns=list(contracts.LOG_SUMMARY.columns),
    )
    names = [
        (
            side,
            name,
            int(rng.integers(100, 90_000)),
            int(rng.integers(5, USERS)),
            float(rng.integers(1, 10**6)),
            FIRST,
            last,
        )
        for side in ("own", "received")
        for name in EVENTS
    ]
    events = pd.DataFrame(names, columns=list(contracts.EVENT_NAMES.columns))
    return {"filters": filters, "log_summary": summary, "event_names": events} | _quality(rng)


def _quality(rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    """Findings of many kinds, hostile names among their subjects, and two outages."""
    days = pd.DataFrame({"day": [FIRST + timedelta(days=i) for i in range(DAYS)]})
    days["expected"] = 6000 + 1500 * np.sin(2 * np.pi * np.arange(DAYS) / 7)
    days["rows"] = rng.poisson(days["expected"])
    days["flag"] = None
    days.loc[40:42, ["rows", "flag"]] = [0, "silent"]
    days.loc[70, ["rows", "flag"]] = [900, "low"]
    days["own_rows"], days["active_users"] = days["rows"] // 2, days["rows"] // 10

    def day(i: int) -> date:
        return days["day"].iloc[i]

    found = [
        ("silent_days", "warning", None, day(40), day(42), 0, None, 0.0),
        ("low_days", "warning", None, day(70), day(70), 900, None, 0.15),
        ("clock_jump", "warning", None, day(90), None, None, None, -1.0),
        *(("impossible_rate", "note", n, day(3), day(9), 60_000, 0.004, 4321.0) for n in (*HOSTILE, "a", "b")),
        ("new_event", "note", HOSTILE[0], day(60), day(139), 20_000, 0.04, None),
        ("repeated_rows", "note", HOSTILE[1], None, None, 1_700, 0.0017, 0.43),
        ("filter", "note", "not_in_creator_list", None, None, 120_000, 0.12, 800.0),
        ("more", "note", "impossible_rate", None, None, None, None, 12.0),
        ("filter", "info", HOSTILE[1], None, None, 0, 0.0, 0.0),
        ("span", "info", None, FIRST, day(139), 1_000_000, None, float(DAYS)),
    ]
    quality = pd.DataFrame(found, columns=list(contracts.QUALITY.columns)).astype({"rows": "Int64"})
    return {"quality": quality, "platform_days": days[list(contracts.PLATFORM_DAYS.columns)]}


def _exploration(rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    days = [FIRST + timedelta(days=i) for i in range(DAYS)]
    parts = []
    for series, level in (
        ("active_users", 400),
        ("own_events", 3000),
        ("received_events", 2500),
        ("sticker_events", 60),
    ):
        trend = level * (1 + 0.2 * np.sin(np.arange(DAYS) / 25))
        seasonal = level * 0.15 * np.sin(2 * np.pi * np.arange(DAYS) / 7)
        remainder = rng.normal(0, level * 0.05, DAYS)
        columns = {"series": series, "day": days, "observed": trend + seasonal + remainder, "trend": trend}
        columns |= {"seasonal": seasonal, "remainder": remainder, "side": None, "event_name": None, "robust": True}
        parts.append(pd.DataFrame(columns).assign(outage=np.isin(np.arange(DAYS), [40, 41, 42, 70])))
    for side in ("own", "received"):
        parts += [parts[0].assign(series=f"{side}:{name}", side=side, event_name=name) for name in EVENTS]
    return {"seasonality": pd.concat(parts, ignore_index=True), **_process(rng), **_staying(np.random.default_rng(8))}


def _staying(rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    """Cohorts, survival, states and rates by decile, of users who come all the time and go after a while."""
    first = np.maximum(0, rng.integers(-40, DAYS - 5, 300))
    rows = [(user, FIRST + timedelta(days=int(day)), True) for user, start in enumerate(first)
            for day in np.unique(start + rng.integers(0, 5 + user % 60, 12)) if day < DAYS]  # fmt: skip
    days = pd.DataFrame(rows, columns=["user_id", "day", "active"])
    last = FIRST + timedelta(days=DAYS - 1)
    user = np.repeat(np.arange(200), 5)
    values = {name: rng.integers(0, 30, 1000).astype(float) for name in ("recency_days", "active_28")}
    values |= {f"own_{i}": rng.poisson(1.0, 1000).astype(float) for i in range(len(EVENTS))}
    churned = (rng.random(1000) < values["recency_days"] / 40).astype(int)
    labels = pd.DataFrame({"user_id": user, "churned": churned, "sticker": (rng.random(1000) < 0.1).astype(int)})
    return {
        "cohorts": cohorts.cohorts(days, FIRST, last), "survival": survival.survival(days, last),
        "census": census.census(days, FIRST, last),
        "deciles": deciles.deciles(pd.DataFrame({"user_id": user} | values), labels),
    }  # fmt: skip


def _process(rng: np.random.Generator) -> dict[str, pd.DataFrame]:
    groups = contracts.PROCESS_GROUPS
    edges = [(g, a, b, int(rng.integers(1, 5000))) for g in groups for a in EVENTS for b in EVENTS]
    edges += [(g, a, b, 900) for g in groups for e in EVENTS for a, b in ((None, e), (e, None))]
    graph = pd.DataFrame(edges, columns=["group", "source", "target", "n"])
    inside = graph["source"].notna() & graph["target"].notna()
    times = pd.Series(rng.integers(1, 200_000, len(graph))).where(inside).astype("Int64")
    graph = graph.assign(
        cases=graph["n"], users=graph["n"] // 2 + 1, median_seconds=times, p90_seconds=times * 3,
        share=graph["n"] / graph.groupby(["group", "source"], dropna=False)["n"].transform("sum"),
        dependency=pd.Series(rng.uniform(-1, 1, len(graph))).where(inside),
    )  # fmt: skip
    edge = graph.loc[graph["group"] == "all", ["source", "target"]].reset_index(drop=True)
    churned, stayed = (rng.uniform(0, 0.4, len(edge)) for _ in range(2))
    gap = churned - stayed
    difference = edge.assign(
        churned_share=churned, stayed_share=stayed, difference=gap, low=gap - 0.1, high=gap + 0.1,
        stands=np.abs(gap) > 0.1, churned_users=300, stayed_users=500,
    )  # fmt: skip
    variants = [
        (g, json.dumps(list(EVENTS[: i + 1])), i + 1, 500 - 50 * i, (500 - 50 * i) / 4000)
        for g in groups
        for i in range(8)
    ]
    steps = [
        (step, a, b, int(rng.integers(20, 900)))
        for step in range(1, 5)
        for a in ("post", "comment", HOSTILE[0], "other")
        for b in ("post", "comment", HOSTILE[0], "other", None)
    ]
    links = pd.DataFrame(steps, columns=["step", "source", "target", "n"]).astype({"step": "int32"})
    links = links.assign(
        share_of_start=links["n"] / 10_000, users=links["n"] // 3 + 1, churned_share=0.25,
        share_of_previous=links["n"] / links.groupby(["step", "source"])["n"].transform("sum"),
    )  # fmt: skip
    tree = [(0, 0, "sequence", None), (1, 1, "step", "post"), (2, 1, "loop", None), (3, 2, "step", HOSTILE[0]),
            (4, 2, "skip", None)]  # fmt: skip
    summary = {
        "case_kind": "session", "reason": "sessions_ok", "shared_share": 0.031, "cases": 4000, "steps": 21_000,
        "variants": 900, "churned_variants": 210, "stayed_variants": 640, "churned_steps": 5000, "stayed_steps": 14_000,
        "until": FIRST + timedelta(days=90), "observe_days": 7, "outcome_days": 7, "path_users_share": 0.125,
        "discovery": "pm4py", "model_steps": 21_000, "fitness": 0.96, "precision": 0.33,
    }  # fmt: skip
    return {
        "process_summary": pd.DataFrame([summary]),
        "directly_follows": graph,
        "follows_difference": difference,
        "variants": pd.DataFrame(variants, columns=["group", "steps", "length", "cases", "share"]),
        "paths": links,
        "process_model": pd.DataFrame(tree, columns=["node", "depth", "kind", "label"]).astype(
            {"node": "int32", "depth": "int32"}
        ),
    }


def _columns() -> list[tuple[str, str, int | None, str]]:
    """column, feature, day offset, kind."""
    daily = [(f"own_{i}@{d}", f"own_{i}", -d, "daily") for i in range(len(EVENTS)) for d in range(7)]
    return [*daily, ("recency_days", "recency_days", None, "history"), ("active_28", "active_28", None, "history")]


def _features(rng: np.random.Generator, users: int, sticker: bool) -> dict[str, pd.DataFrame]:
    features = [(f"own_{i}", "daily", "own", e, "count", None, f"own {e}", f"본인 {e}") for i, e in enumerate(EVENTS)]
    features += [
        ("recency_days", "history", None, None, "recency", 56, "days since the last own event", "마지막 활동 후 일수"),
        ("active_28", "history", None, None, "active", 28, "active days of 28", "28일 중 활동일"),
    ]
    frame = pd.DataFrame(features, columns=list(contracts.FEATURES.columns)).astype({"lookback": "Int32"})
    names = frame.set_index("feature")
    flat = []
    for column, feature, offset, kind in _columns():
        en, ko = names.loc[feature, "label_en"], names.loc[feature, "label_ko"]
        when = ("", "") if offset is None else (f" day {offset}", f" {offset}일차")
        flat.append((column, feature, offset, kind, en + when[0], ko + when[1]))
    columns = pd.DataFrame(flat, columns=list(contracts.FLAT_COLUMNS.columns)).astype({"day_offset": "Int32"})
    anchors = [FIRST + timedelta(days=6 + 7 * i) for i in range(19)]
    split = ["train"] * 9 + ["purged"] + ["validation"] * 3 + ["purged"] + ["test"] * 4 + ["open"]
    windows = pd.DataFrame(
        [
            (u, u, a, i, s)
            for u in range(users)
            for i, (a, s) in enumerate(zip(anchors, split, strict=True))
            if (u + i) % 3
        ],
        columns=["user_id", "user", "anchor_day", "anchor", "split"],
    )
    windows.loc[(windows["split"] == "validation") & (windows["user"] % 2 == 1), "split"] = "calibration"
    windows["closed"] = windows["split"] != "open"
    for name, rate, there in (("churned", 0.34, True), ("sticker", 0.12, sticker)):
        labels = pd.Series(rng.random(len(windows)) < rate).astype("Int8")
        windows[name] = labels.where(windows["closed"] & there)
    unscored = [(u + 10_000, "not_active", FIRST + timedelta(days=u)) for u in range(37)]
    return {
        "features": frame,
        "flat_columns": columns,
        "windows": windows.astype({"user": "int32", "anchor": "int32"})[list(contracts.WINDOWS.columns)],
        "unscored": pd.DataFrame(unscored, columns=["user_id", "reason", "last_day"]),
    }


# name, kind, how much more AP than the plain network (none: a model that knows nothing)
MODELS = (
    ("gru_bilstm", "network", 0.02),
    ("gru", "network", 0.0),
    ("network_average", "average", 0.012),
    ("lightgbm_history", "baseline", 0.015),
    ("lightgbm_7days", "baseline", -0.04),
    ("logistic_history", "baseline", -0.02),
    ("recency", "baseline", -0.12),
    ("most_frequent", "baseline", None),
)


def _models(rng: np.random.Generator, targets: tuple[str, ...]) -> dict[str, pd.DataFrame]:
    metrics, differences, by_anchor, bins, summary, pairs, trials = [], [], [], [], [], [], []
    choice = []
    for target in targets:
        base, ap = (0.34, 0.71) if target == "churn" else (0.12, 0.38)
        for model, kind, more in MODELS:
            values = {"base_rate": base, "accuracy": 0.8 + (more or -0.1), "ap": base if more is None else ap + more}
            values |= {"micro_ap": 0.9, "auc": 0.5 if more is None else 0.83 + more, "brier": 0.15, "ece": 0.021}
            parts = {"reliability": 0.001, "resolution": 0.07, "uncertainty": 0.22, "within": -0.001}
            values |= {f"brier_{part}": value for part, value in parts.items()}
            values |= {"ece_perfect": 0.014, "lift_10": 2.4 + (more or -1.4), "lift_20": 2.1 + (more or -1.1)}
            for metric, value in values.items():
                plain = metric in ("base_rate", "ece_perfect")
                low, high = (None, None) if plain else (value - 0.02, value + 0.021)
                metrics.append(
                    (target, model, kind, metric, value, low, high, ap + (more or -0.3), model == "gru_bilstm")
                )
            if model != "gru_bilstm":
                gap = values["ap"] - (ap + 0.02)
                differences.append((target, "gru_bilstm", model, kind, -gap, -gap - 0.004, -gap + 0.01))
        for week in range(4):
            value = None if week == 3 and target == "sticker" else 0.02 - 0.012 * week
            by_anchor.append((target, FIRST + timedelta(days=104 + 7 * week), "lightgbm_history", 390, value))
        for b in range(10):
            p = (b + 0.5) / 10 * (0.95 if target == "churn" else 0.6)
            came_true, ends = p + rng.normal(0, 0.01), (max(0, p - 0.06), min(1, p + 0.07))
            bins.append((target, "gru_bilstm", b, 160, p, 0.8 * p, 0.8 * p + 0.2, came_true, *ends))
        for method, loss in (("platt", 0.4975), ("beta", 0.497), ("isotonic", 0.498)):
            choice.append((target, "gru_bilstm", method, loss, 0.02, method == "platt"))
        summary.append((target, "gru_bilstm", "gru_bilstm", "lightgbm_history", "platt", 0.973, 9, 1))
        for i, (s, a) in enumerate(
            (s, a) for s in ("log", "quantile", "standard") for a in ("gru", "bilstm", "gru_bilstm")
        ):
            for seed in range(3 if i < 3 else 2 if i < 5 else 1):
                pairs.append((target, s, a, seed, ap - 0.01 * i + 0.003 * seed, 0.8, 0.45, 5, i == 0))
        for model, lead in (("gru_bilstm", 0.03), ("lightgbm_history", 0.001)):
            for i in range(15):
                hyper = json.dumps({"units": 16 * (i + 1), "dropout": 0.1 * (i % 4), "rate": 0.001})
                value = ap - lead + 2 * lead * i / 14
                trials.append((target, model, i, 0, hyper, value, 0.4, 2 if i % 4 == 3 else 4, i % 4 == 3, i == 14))
            for repeat in (1, 2):
                again = ap + lead - 0.003 * repeat
                trials.append((target, model, 14, repeat, hyper, again, 0.4, 4, False, False))
    rows = {"metrics": metrics, "differences": differences, "differences_by_anchor": by_anchor, "reliability": bins}
    rows |= {"calibration_choice": choice, "target_summary": summary, "experiments": pairs, "trials": trials}
    frames = {name: pd.DataFrame(r, columns=list(BY_NAME[name].columns)) for name, r in rows.items()}
    frames["reliability"] = frames["reliability"].astype({"bin": "int32"})
    frames["target_summary"] = frames["target_summary"].astype({"epochs": "Int32"})
    return frames


def _explain(rng: np.random.Generator, targets: tuple[str, ...]) -> dict[str, pd.DataFrame]:
    columns = [c for c, *_ in _columns()]
    collinear = []
    for i, column in enumerate(columns):
        if i % 3:
            collinear.append((column, True, "kept", 3.0 + i / 10, None, None, None))
            continue
        reason = ("vif", "perfect", "constant")[i % 9 // 3]
        vif = 12.0 + i if reason == "vif" else None
        collinear.append(
            (column, False, reason, vif, i // 3 + 1, columns[i + 1] if i + 1 < len(columns) else None, 0.93)
        )
    selection, surrogates, importance, sample, dependence = [], [], [], [], []
    for target in targets:
        r2 = 0.91 if target == "churn" else 0.62
        figures = (r2, 0.95, 0.81, 0.9, None, None)
        surrogates.append((target, "gru_bilstm", "surrogate", True, len(columns), 4, 1500, 300, *figures))
        nothing = (None,) * 6
        surrogates.append((target, "lightgbm_history", "direct", False, len(columns), 0, 1500, 300, *nothing))
        for model in ("gru_bilstm", "lightgbm_history"):
            for rank, c in enumerate(reversed(columns[-20:]), start=1):
                direction = None if rank == 5 else float(np.cos(rank))
                ends = (None, None) if direction is None else (max(-1, direction - 0.05), min(1, direction + 0.04))
                importance.append((target, model, c, 1.2 / rank, direction, *ends, rank))
                if rank <= 15:
                    value = np.maximum(0, rng.poisson(2, 300)).astype(float)
                    shap = (value - 2) * (direction or 0) * 0.5 / rank + rng.normal(0, 0.05, 300)
                    part = {"target": target, "model": model, "column": c, "value": value, "shap": shap}
                    sample.append(pd.DataFrame(part))
                if rank <= 6:
                    partner = None if rank == 2 else columns[-rank - 1]
                    about = {"rank": rank, "partner": partner, "interaction": None if rank == 2 else 0.4}
                    other = np.where(rng.random(300) < 0.9, rng.normal(size=300), np.nan)
                    dependence.append(pd.DataFrame(part | about | {"partner_value": other if partner else np.nan}))
        for i, c in enumerate(columns):
            decision = ("accepted", "tentative", "rejected")[i % 3]
            selection.append((target, c, decision, 30 - i % 30, 30, 0.1, 0.05))
    rows = {"collinearity": collinear, "selection": selection, "surrogates": surrogates, "importance": importance}
    frames = {name: pd.DataFrame(r, columns=list(BY_NAME[name].columns)) for name, r in rows.items()}
    frames["collinearity"] = frames["collinearity"].astype({"step": "Int32"})
    long = {"shap_sample": sample, "dependence": [part.astype({"rank": "int32"}) for part in dependence]}
    return frames | {name: pd.concat(parts, ignore_index=True) for name, parts in long.items()}


def _who_first(frame: pd.DataFrame, threshold: float, sticker: bool) -> dict[str, pd.DataFrame]:
    """What other rules would choose, how steady the list is, and the plane."""
    newest, week = frame["anchor_day"].iloc[0], timedelta(days=7)
    n, group = len(frame), int((frame["segment"] == "priority").sum())
    rules = [("quantile", True, 0.1, threshold, "out_of_time", 1200, group, 1.0, None),
             ("capacity", False, 40.0, threshold / 2, "scored", n, 40, 0.4, None),
             ("knee", False, None, threshold * 0.8, "out_of_time", 1200, group + 9, 0.8, None),
             ("mixture", False, None, None, "out_of_time", 1200, None, None, "one_component")]  # fmt: skip
    lists = [("seed", newest, str(seed), n, group, group, group - 2, 0.8, 0.05, 0.98) for seed in (8, 9)]
    lists += [("anchor", newest - k * week, str(newest - (k - 1) * week), n - 9, group, group - 1, group - 4,
               0.6 + k / 50, 0.05, 0.9) for k in (4, 3, 2, 1)]  # fmt: skip
    firm = np.where(frame["segment"] == "priority", np.where(frame["rank"] % 3 == 0, "swing", "firm"), "out")
    edges = [(a, a + 0.25, b, c) for a in (0.0, 0.25, 0.5, 0.75) for b, c in ((0.0, 0.1), (0.1, 0.3), (0.3, 1.0))]
    plane = [(*edge, 60 - 4 * i, 900.0 - 70 * i, 400 - 36 * i, 0.1 + i / 20, 0.5 - i / 25, 5000.0 - 400 * i)
             for i, edge in enumerate(edges)]  # fmt: skip
    made = {"thresholds": rules, "list_stability": lists, "plane": plane if sticker else []}
    frames = {name: pd.DataFrame(rows, columns=list(BY_NAME[name].columns)) for name, rows in made.items()}
    frames["thresholds"] = frames["thresholds"].astype({"users": "Int64"})
    firmness = frame[["user_id"]].assign(lists=np.int32(4), chosen=np.where(firm == "firm", 1, 0.5), firm=firm)
    money = frame[["user_id", "anchor_day"]].assign(
        recency=np.int32(2), stickers_7=1.0, stickers_28=4.0, value_28=40.0, value_next=None
    )
    money[["stickers_7", "stickers_28", "value_28"]] *= 1 if sticker else np.nan
    return frames | {"firmness": firmness, "money": money}


def _segments(rng: np.random.Generator, users: int, sticker: bool, targets: tuple[str, ...]) -> dict[str, pd.DataFrame]:
    churn = rng.beta(1.2, 2.0, users)
    gift = rng.beta(0.7, 5.0, users) if sticker else np.full(users, np.nan)
    priority = np.clip(churn * gift if sticker else churn, 1e-9, 1)
    threshold = float(np.quantile(priority, 0.9))
    segment = np.where(priority >= threshold, "priority", np.where(churn >= 0.5, "other_churners", "rest"))
    segment = np.where((segment == "rest") & (gift >= 0.3), "favourites", segment)
    ids = [f"user-{u}" for u in range(users)]
    frame = pd.DataFrame({"user_id": ids, "anchor_day": FIRST + timedelta(days=DAYS - 1), "segment": segment})
    frame = frame.assign(p_churn=churn, p_sticker=gift, priority=priority, log_priority=np.log(priority))
    frame = frame.assign(value_at_risk=churn * 20 * gift)
    for p in ("p_churn", "p_sticker"):
        frame = frame.assign(**{f"{p}_low": 0.8 * frame[p], f"{p}_high": 0.8 * frame[p] + 0.2})
    frame = frame.sort_values("priority", ascending=False, kind="stable").reset_index(drop=True)
    frame.loc[1, "user_id"] = HOSTILE[0]
    frame["rank"] = np.arange(1, users + 1)
    sizes = frame["segment"].value_counts()
    counts = tuple(int(sizes.get(s, 0)) for s in contracts.SEGMENTS)
    rule = [("quantile", 0.1, threshold, "out_of_time", 1200, 0.5, 0.3 if sticker else None, "priority", *counts)]
    en = f"last own event 5 days ago, 1.2 as a rule {HOSTILE[1]}"
    ko = "마지막 활동이 5일 전 (보통 1.2일)"
    newest = frame["anchor_day"].iloc[0]
    reasons = [
        (target, user, newest, r, "recency_days", 5.0, 1.2, 3.4, 0.8 / r, place % 4 != 2, f"{r}: {en}", f"{r}: {ko}")
        for target in targets
        for place, user in enumerate(frame["user_id"].head(200))
        for r in (1, 2, 3)
    ]
    compared = []
    names = ["p_churn", "recency_days", "active_28", *(f"own_{i}" for i in range(len(EVENTS))), HOSTILE[2]]
    for versus, n in (("others", users - counts[0]), ("other_churners", counts[1])):
        for i, v in enumerate(names):
            g = 1.6 - 0.25 * i
            row = (
                versus,
                v,
                v == "p_churn",
                counts[0],
                n,
                2.0 + g,
                2.0,
                g,
                g - 0.3,
                g + 0.3,
                4 * g,
                80.0,
                0.03 * i,
                0.04 * i,
            )
            compared.append((*row, g, g - 0.2, g + 0.2, 0.02 * i))
    compared.append(("others", "constant", False, counts[0], users - counts[0], 1.0, 1.0, 0.0, *[None] * 10))
    return {
        "priority": frame[list(contracts.PRIORITY.columns)],
        "joint": _joint(sticker),
        "threshold": pd.DataFrame(rule, columns=list(contracts.THRESHOLD.columns)),
        **_who_first(frame, threshold, sticker),
        "reasons": pd.DataFrame(reasons, columns=list(contracts.REASONS.columns)),
        "shared_reasons": _shared(frame, targets, en, ko),
        "comparison": pd.DataFrame(compared, columns=list(contracts.COMPARISON.columns)),
    }


def _shared(frame: pd.DataFrame, targets: tuple[str, ...], en: str, ko: str) -> pd.DataFrame:
    """The first 120 users share two reasons, the next 50 one; 30 have others, all the rest none."""
    rows = []
    for target in targets:
        for segment, (kind, first, end, n) in enumerate(
            (("shared", 0, 120, 2), ("shared", 120, 170, 1), ("other", 170, 200, 0), ("none", 200, None, 0)), start=1
        ):
            p = frame[f"p_{target}"].iloc[first:end]
            if len(p):
                reasons = [("recency_days", "more", f"{i}: {en}", f"{i}: {ko}") for i in range(1, n + 1)]
                told = [part for reason in (*reasons, *[(None,) * 4] * (2 - n)) for part in reason]
                holds = None if kind == "none" else 0.75
                rows.append((target, segment, kind, len(p), len(p) / len(frame), p.mean(), p.sum(), holds, *told))
    return pd.DataFrame(rows, columns=list(contracts.SHARED_REASONS.columns)).astype({"segment": "int32"})


def _joint(sticker: bool) -> pd.DataFrame:
    """Both happen more often than the product says in the three highest of ten groups."""
    rows = []
    for b in range(10 if sticker else 0):
        p_churn, p_sticker = 0.05 + 0.08 * b, 0.03 + 0.05 * b
        product = p_churn * p_sticker
        both = product * (1.6 if b > 6 else 1.02)
        ends = (0.8 * both, 1.2 * both)
        rows.append((b, 156, product, p_churn, p_sticker, p_churn + 0.01, p_sticker - 0.01, both, *ends))
    return pd.DataFrame(rows, columns=list(contracts.JOINT.columns)).astype({"bin": "int32", "windows": "int64"})


CAUSES = (
    *("supporters_quiet", "unanswered_posts", "falling_reach", "burnout", "price_change"),
    *("seasonal_leave", "chance"),
)


def _simulated(targets: tuple[str, ...]) -> dict[str, pd.DataFrame]:
    """What only a simulated log has; tables() holds it always, as the report must look at it only for one."""
    rng = np.random.default_rng(11)
    hours = pd.MultiIndex.from_product([range(7), range(24), ("own", "received")], names=["weekday", "hour", "side"])
    rhythm = hours.to_frame(index=False)
    wave = 1.2 + np.sin((rhythm["hour"] - 15) / 24 * 2 * np.pi) + 0.3 * (rhythm["weekday"] >= 5)
    rhythm["rows"] = (wave * np.where(rhythm["side"] == "own", 900, 4000)).astype("int64")
    activity = pd.DataFrame({"user_id": [f"user-{u}" for u in range(USERS)]})
    activity["own_rows"] = (40 * rng.pareto(1.1, USERS)).astype("int64")
    activity["received_rows"] = (200 * rng.pareto(0.9, USERS)).astype("int64")
    activity["active_days"] = rng.integers(0, DAYS, USERS)
    paths = []
    for place in range(10):
        walk = np.cumsum(rng.normal(0, 0.35, DAYS)) - 0.01 * place * np.arange(DAYS) + 2
        active = rng.random(DAYS) < 1 / (1 + np.exp(-walk))
        cause = np.full(DAYS, None, dtype=object)
        cause[walk < 1] = CAUSES[place % len(CAUSES)]
        cause[(walk < -1) & (place % 3 == 0)] = CAUSES[(place + 3) % len(CAUSES)]
        user = HOSTILE[0] if place == 1 else LONG if place == 2 else f"user-{place}"
        days = [FIRST + timedelta(days=i) for i in range(DAYS)]
        part = {"user_id": user, "day": days, "engagement": walk, "active": active, "cause": cause}
        paths.append(pd.DataFrame(part))
    return {
        "truth_figures": truth_figures(targets),
        "weekly_rhythm": rhythm.astype({"weekday": "int32", "hour": "int32"}),
        "user_activity": activity,
        "engagement_paths": pd.concat(paths, ignore_index=True),
    }


def truth_figures(targets: tuple[str, ...] = ("churn", "sticker"), precision: float = 0.83) -> pd.DataFrame:
    """TRUTH_FIGURES with this precision@3 over all causes."""
    rows: list[tuple] = []
    for target, base, ceiling, used in (("churn", 0.34, 0.81, 0.73), ("sticker", 0.12, 0.44, 0.40)):
        share = (used - base) / (ceiling - base)
        values = {"base_rate": base, "ap_ceiling": ceiling, "ap_used": used, "ap_share": share}
        values |= {"auc_ceiling": 0.91, "auc_used": 0.85, "p_error": 0.071, "p_spearman": 0.88, "bins_covered": 0.9}
        values |= {"interval_covered": 0.41, "interval_bins_covered": 1.0, "interval_width": 0.083}
        rows += [(target, figure, "", value, None, None, 1560) for figure, value in values.items()]
    shares = (0.12, 0.09, 0.11, 0.06, 0.04, 0.05, 0.13, 0.4)
    rows += [
        ("churn", "cause_share", cause, share, None, None, round(share * 1560))
        for cause, share in zip((*CAUSES, "none"), shares, strict=True)
    ]
    shown = CAUSES[:-1]
    groups = [("", 16), *((cause, 2 + (cause == CAUSES[0])) for cause in shown)]
    groups += [("distractor", 12), ("independent", 8), ("user_constant", 8)]
    for about, features in groups:
        selected = 0.125 if about == "independent" else 0.0 if about == "user_constant" else 1 - 1 / features
        rows.append(("churn", "selected", about, selected, None, None, features))
        rows.append(("churn", "collinear", about, 0.25, None, None, 4 * features))
        if about not in ("distractor", "independent", "user_constant"):
            rows.append(("churn", "direction_right", about, 1 - 1 / features, None, None, features))
    for place, about in enumerate(("", *shown)):
        windows = 0 if about == "price_change" else 730 if not about else 120
        value = precision if not about else 0.95 - 0.08 * place
        for figure, found in (
            ("precision_at_3", value),
            ("precision_chance", 0.09 + 0.01 * place),
            ("precision_chance_named", 0.2 + 0.01 * place),
            ("precision_recency", 0.0),
            ("precision_same", 0.3 if place % 2 == 0 else 0.0),
            ("precision_change", value - 0.2),
            ("precision_itself", value - 0.1),
            ("precision_itself_chance", 0.25),
        ):
            measured = figure in ("precision_at_3", "precision_itself")
            bounds = (found - 0.04, found + 0.03) if measured and windows else (None, None)
            rows.append(("churn", figure, about, found if windows else None, *bounds, windows))
    frame = pd.DataFrame(rows, columns=list(contracts.TRUTH_FIGURES.columns))
    return frame[frame["target"].isin(targets)].reset_index(drop=True)
