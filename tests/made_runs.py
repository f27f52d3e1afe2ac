"""Nothing → a run folder with made-up results, as much of one as comparing needs."""

from __future__ import annotations

import json
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from tschurn import config
from tschurn import contracts as c
from tschurn.models import evaluation
from tschurn.runs import StageFolder

FIRST = date(2024, 1, 1)
USERS, WEEKS = 120, 20
SPLITS = ("train",) * 9 + ("validation",) * 2 + ("calibration",) * 2 + ("test",) * 6 + ("open",)
MODELS = {"gru": ("network", 0.3), "logistic_history": ("baseline", 0.6)}  # kind, noise of its probabilities
COLUMNS = ("recency", "posts@0", "posts@-1", "gifts")
QUALITY = [("incomplete_end", "warning", None, date(2024, 5, 19), date(2024, 5, 19), 12, None, 0.2)]


def make_run(
    folder: Path, noise: float = 1.0, seed: int = 1, shift: int = 0, quality: list[tuple] | None = None,
    used: str = "gru", only: tuple[str, ...] = ("churn", "sticker"), **sections: dict[str, Any],
) -> Path:  # fmt: skip
    """→ `folder`, with the run of an experiment: two models (noise: how far from the truth), two targets.

    shift: weeks by which the split, and the day of the list, are later; the log is the same, but longer.
    sections: of the experiment file. What happened is the same in all runs.
    """
    raw = {"experiment": {"name": "made", "seed": seed}, "log": {"path": "/somewhere/private/events.parquet"},
           "targets": {"churn": {}, "sticker": {"events": ["gift"]}}}  # fmt: skip
    for section, keys in sections.items():
        raw[section] = raw.get(section, {}) | keys
    if "sticker" not in only:
        raw["targets"].pop("sticker")
    experiment = config.parse(raw, "made").model_dump(mode="json", exclude={"simulation"})
    manifest = {"experiment": experiment, "versions": {"numpy": "2.4.0"}, "python": "3.11.7", "commit": "ab" * 20,
                "finished": "2024-06-01T10:00:00+00:00",
                "data": [{"path": "/private/events.parquet", "size": 1000 + shift, "ends": "ab"}]}  # fmt: skip
    windows, truth = _windows(shift)
    findings = _frame(c.QUALITY, QUALITY if quality is None else quality)
    tables = {"log": [(c.LOG_SUMMARY, _log(shift)), (c.QUALITY, findings)],
              "windows": [(c.WINDOWS, windows), (c.FEATURES, _features()),
                          (c.UNSCORED, _frame(c.UNSCORED, [("u999", "not_active", FIRST)]))],
              "columns": [(c.FLAT_COLUMNS, _columns())]}  # fmt: skip
    scores = {}
    for place, target in enumerate(only):
        random = np.random.default_rng([seed, place])
        p = {m: _sigmoid(truth[target] + random.normal(0, noise * s, len(windows))) for m, (_, s) in MODELS.items()}
        tables[f"models.{target}"] = _models(windows, target, p, used)
        tables[f"explain.{target}"] = _explained(target, used, random)
        scores[target] = pd.Series(p[used], index=windows["user_id"])[(windows["split"] == "open").to_numpy()]
    tables["segments"] = _segments(windows, scores)
    for stage, some in tables.items():
        (folder / "stages" / stage).mkdir(parents=True)
        for table, frame in some:
            StageFolder(folder / "stages" / stage).write(table, frame)
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return folder


def rewrite(folder: Path, stage: str, table: c.Table, **columns: Any) -> None:
    """Columns of a table of a run anew."""
    stages = StageFolder(folder / "stages" / stage)
    stages.write(table, stages.read(table).assign(**columns))


def _sigmoid(values: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-values))


def _frame(table: c.Table, rows: list[tuple]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=list(table.columns))
    return frame.astype({k: "float64" for k, v in table.columns.items() if v.startswith("float")} |
                        {k: "Int64" for k, v in table.columns.items() if v == "int64?"})  # fmt: skip


def _windows(shift: int) -> tuple[pd.DataFrame, dict[str, np.ndarray]]:
    """WINDOWS, and the true log-odds of its rows; both depend on user and day alone."""
    random = np.random.default_rng(0)
    level = {"churn": random.normal(-0.5, 1.2, USERS), "sticker": random.normal(-1, 1.2, USERS)}
    drawn = {t: random.random((USERS, WEEKS + 10)) for t in level}
    rows, truth = [], {t: [] for t in level}
    for u in range(USERS):
        for week in range(WEEKS + shift):
            split = SPLITS[week - shift] if week >= shift else "train"
            if (u + week) % 5 == 0:  # not active then
                continue
            y = [int(drawn[t][u, week] < _sigmoid(level[t][u])) for t in level]
            labels = [None, None] if split == "open" else y
            rows.append((f"u{u}", u, FIRST + timedelta(days=6 + 7 * week), week, split != "open", *labels, split))
            for t in level:
                truth[t].append(level[t][u])
    columns = ["user_id", "user", "anchor_day", "anchor", "closed", "churned", "sticker", "split"]
    frame = pd.DataFrame(rows, columns=columns).astype(
        {"user": "int32", "anchor": "int32", "churned": "Int8", "sticker": "Int8"}
    )
    return frame[list(c.WINDOWS.columns)], {t: np.array(v) for t, v in truth.items()}


def _log(shift: int) -> pd.DataFrame:
    days = 7 * (WEEKS + shift)
    last = FIRST + timedelta(days=days - 1)
    return _frame(c.LOG_SUMMARY, [(9000 + shift, 9000 + shift, 8000, 1000, 0, USERS, USERS, FIRST, last, days, False)])


def _features() -> pd.DataFrame:
    names = sorted({column.partition("@")[0] for column in COLUMNS})
    rows = [(n, "daily", "own", n, "count", None, f"own {n}", f"본인 {n}") for n in names]
    return pd.DataFrame(rows, columns=list(c.FEATURES.columns)).astype({"lookback": "Int32"})


def _columns() -> pd.DataFrame:
    rows = [(n, n.partition("@")[0], None, "daily", f"own {n}", f"본인 {n}") for n in COLUMNS]
    return pd.DataFrame(rows, columns=list(c.FLAT_COLUMNS.columns)).astype({"day_offset": "Int32"})


def _models(
    windows: pd.DataFrame, target: str, p: dict[str, np.ndarray], used: str
) -> list[tuple[c.Table, pd.DataFrame]]:
    closed = windows["closed"].to_numpy()
    label = windows[c.LABELS[target]].astype("float64")
    test = (windows["split"] == "test").to_numpy()
    predictions, metrics = [], []
    for model, (kind, _) in MODELS.items():
        part = windows.loc[closed, ["user_id", "anchor_day", "split"]]
        predictions.append(part.assign(target=target, model=model, p=p[model][closed], y=label[closed].astype("int8")))
        for metric, value in evaluation.metrics(label[test].to_numpy(), p[model][test]).items():
            metrics.append((target, model, kind, metric, float(value[0]), None, None, 0.5, model == used))
    summary = [(target, used, "gru", "logistic_history", "platt", 0.9, 9, 1)]
    return [
        (c.PREDICTIONS, pd.concat(predictions, ignore_index=True)),
        (c.METRICS, _frame(c.METRICS, metrics)),
        (c.TARGET_SUMMARY, _frame(c.TARGET_SUMMARY, summary).astype({"epochs": "Int32"})),
    ]  # fmt: skip


def _explained(target: str, used: str, random: np.random.Generator) -> list[tuple[c.Table, pd.DataFrame]]:
    importance = np.sort(random.random(len(COLUMNS)))[::-1]
    rows = [(target, used, n, importance[i], 0.5, 0.3, 0.7, i + 1) for i, n in enumerate(COLUMNS)]
    chosen = [(target, n, "accepted" if i < 3 else "rejected", 20, 30, 0.1, 0.05) for i, n in enumerate(COLUMNS)]
    how = [(target, used, "surrogate", True, 4, 0, 900, 100, 0.95, 0.97, 0.9, 0.9, 0.8, 0.7)]
    types = {"hits": "int32", "trials": "int32"}
    return [
        (c.IMPORTANCE, _frame(c.IMPORTANCE, rows).astype({"rank": "int32"})),
        (c.SELECTION, _frame(c.SELECTION, chosen).astype(types)),
        (c.SURROGATES, _frame(c.SURROGATES, how).astype({"columns": "int32", "added": "int32"})),
    ]


def _segments(windows: pd.DataFrame, scores: dict[str, pd.Series]) -> list[tuple[c.Table, pd.DataFrame]]:
    churn = scores["churn"]
    sticker = scores.get("sticker", pd.Series(np.nan, index=churn.index))
    both = churn * sticker if "sticker" in scores else churn
    frame = pd.DataFrame({"user_id": churn.index, "p_churn": churn.to_numpy(), "p_sticker": sticker.to_numpy(),
                          "priority": both.to_numpy()})  # fmt: skip
    frame = frame.sort_values("priority", ascending=False, ignore_index=True)
    group = max(1, len(frame) // 5)
    frame = frame.assign(
        rank=range(1, len(frame) + 1), segment=np.where(frame.index < group, "priority", "rest"),
        anchor_day=windows["anchor_day"].max(), log_priority=np.log(frame["priority"]), value_at_risk=np.nan,
        **{f"{p}_{end}": frame[p] for p in ("p_churn", "p_sticker") for end in ("low", "high")},
    )  # fmt: skip
    rule = [("quantile", 0.2, frame["priority"][group - 1], "out_of_time", 600, 0.5, None, "priority", group, 0, 0,
             len(frame) - group)]  # fmt: skip
    return [(c.PRIORITY, frame), (c.THRESHOLD, _frame(c.THRESHOLD, rule))]
