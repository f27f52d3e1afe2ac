"""The run's tables → one plain dict with every number of the report (also report.json); no NaN, null instead."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any

import pandas as pd

from tschurn.contracts import SEGMENTS, SPLITS
from tschurn.report.ablation import ablation_summary
from tschurn.report.anomaly import anomaly_summary
from tschurn.report.attribution import attribution_summary
from tschurn.report.backtest import backtest_summary
from tschurn.report.calibration import calibration_summary, joint_summary
from tschurn.report.capacity import capacity_summary, ranked
from tschurn.report.cohorts import cohorts_summary
from tschurn.report.comparison import comparison_summary, matching_summary
from tschurn.report.deciles import deciles_summary
from tschurn.report.groups import groups_summary
from tschurn.report.horizons import horizons_summary
from tschurn.report.origins import origins_summary
from tschurn.report.process import process_summary
from tschurn.report.profiles import profiles_summary
from tschurn.report.quality import quality_summary
from tschurn.report.reasons import reasons_summary
from tschurn.report.rfm import rfm_summary
from tschurn.report.search import experiments_summary, search_summary
from tschurn.report.simulated import simulated_summary
from tschurn.report.stability import stability_summary
from tschurn.report.subgroups import subgroups_summary
from tschurn.report.usage import usage_summary
from tschurn.report.values import Tables, first, plain, records, table_of
from tschurn.report.verdict import by_anchor, target_summary
from tschurn.report.why import (
    collinearity_summary,
    explanations_summary,
    selection_summary,
    shared_summary,
    surrogate_summary,
)
from tschurn.report.words import Texts

if TYPE_CHECKING:
    from tschurn.config import Experiment

TARGETS = ("churn", "sticker")
EVENTS_SHOWN, USERS_SHOWN = 40, 20


def summarise(
    tables: Tables, notes: Sequence[str], experiment: Experiment, manifest: Mapping[str, Any]
) -> dict[str, Any]:
    """Tables of a run → the report's numbers, as values that JSON knows; absent tables count as empty."""
    labels = _labels(tables, experiment.experiment.language)
    log = first(table_of(tables, "log_summary"))
    targets = {t: target_summary(tables, t) or {} for t in TARGETS}
    surrogates = {t: surrogate_summary(tables, t) or {} for t in TARGETS}
    result = {
        "experiment": experiment.experiment.name,
        "language": experiment.experiment.language,
        "rows": log.get("rows_read", 0),
        "users": log.get("users", 0),
        "windows": _window_counts(tables),
        "targets": targets,
        "surrogates": surrogates,
        "segments": _segment_counts(tables),
        "notes": list(dict.fromkeys(notes)),
        "no_sticker": _why_no_sticker(targets, notes, experiment),
        "setting": _setting(experiment),
        "log": log,
        "filters": records(table_of(tables, "filters")),
        "quality": quality_summary(tables, Texts.load(experiment.experiment.language)),
        "events": _events(tables),
        "usage": usage_summary(tables),
        "staying": cohorts_summary(tables),
        "deciles": deciles_summary(tables, labels),
        "process": process_summary(tables),
        "splits": _splits(tables),
        "exclusions": {row["reason"]: row for row in records(table_of(tables, "exclusions"))},
        "contacts": first(table_of(tables, "contacts_read")),
        "horizons": horizons_summary(tables, experiment),
        "calibration": calibration_summary(tables, targets),
        "experiments": {t: found for t in TARGETS if (found := experiments_summary(tables, t))},
        "search": {t: found for t in TARGETS if (found := search_summary(tables, t, experiment.search.trials))},
        "by_anchor": {t: found for t in TARGETS if (found := by_anchor(tables, t))},
        "origins": origins_summary(tables, experiment),
        "collinearity": collinearity_summary(tables, labels),
        "selection": selection_summary(tables, TARGETS),
        "explanations": {t: found for t in TARGETS if (found := explanations_summary(tables, t, labels))},
        "shared": shared_summary(tables, labels, TARGETS),
        "ablation": ablation_summary(tables),
        "stability": stability_summary(tables),
        "group": groups_summary(tables, experiment),
        "joint": joint_summary(tables, experiment),
        "comparison": (compared := comparison_summary(tables, labels)),
        "matching": matching_summary(tables, compared),
        "subgroups": subgroups_summary(tables),
        "profiles": profiles_summary(tables, experiment),
        "rfm": rfm_summary(tables, experiment),
        "backtest": backtest_summary(tables, experiment),
        "capacity": capacity_summary(tables, experiment),
        "calls": _calls(people := ranked(tables)),
        "list": _list(people, table_of(tables, "reasons"), experiment.experiment.language),
        "unscored": _unscored(tables),
        "reproduce": _reproduce(experiment, manifest),
    }
    listed = [row["user_id"] for row in result["list"]]
    result["reasons"] = reasons_summary(tables, listed, experiment.experiment.language)
    result["attribution"] = attribution_summary(tables, listed, experiment.experiment.language)
    result["anomaly"] = anomaly_summary(tables, listed)
    result["simulated"] = simulated_summary(tables, experiment, result)
    return plain(result)


# --- the data -------------------------------------------------------------------------------------
def _events(tables: Tables) -> dict[str, Any]:
    events = table_of(tables, "event_names").sort_values(
        ["rows", "side", "event_name"], ascending=[False, True, True], kind="stable"
    )
    return {"kinds": len(events), "shown": records(events.head(EVENTS_SHOWN))}


def _window_counts(tables: Tables) -> dict[str, int]:
    counts = table_of(tables, "windows")["split"].value_counts()
    return {split: int(counts.get(split, 0)) for split in SPLITS}


def _splits(tables: Tables) -> list[dict[str, Any]]:
    windows = table_of(tables, "windows")
    rows = []
    for split in SPLITS:
        part = windows[windows["split"] == split]
        row: dict[str, Any] = {
            "split": split,
            "windows": len(part),
            "users": part["user_id"].nunique(),
            "anchors": part["anchor_day"].nunique(),
            "first": part["anchor_day"].min() if len(part) else None,
            "last": part["anchor_day"].max() if len(part) else None,
        }
        row |= {rate: pd.to_numeric(part[rate]).astype("float64").mean() for rate in ("churned", "sticker")}
        rows.append(row)
    return rows


# --- the priority group ---------------------------------------------------------------------------
def _segment_counts(tables: Tables) -> dict[str, int]:
    counts = table_of(tables, "priority")["segment"].value_counts()
    return {segment: int(counts.get(segment, 0)) for segment in SEGMENTS}


def _calls(people: pd.DataFrame) -> dict[str, int]:
    """Of the priority group: how many are to be called, are held out, and rest since they were contacted lately."""
    group = people[people["segment"] == "priority"]
    held, rests = int(group["holdout"].sum()), int(group["resting"].sum())
    return {"call": len(group) - held - rests, "holdout": held, "resting": rests}


def _list(people: pd.DataFrame, reasons: pd.DataFrame, language: str) -> list[dict[str, Any]]:
    """The first users of the list with their reasons per target, and whether they are to be left alone."""
    first = people.drop(columns=["anchor_day", "call", "recency", "value_28"]).head(USERS_SHOWN)
    reasons = reasons[reasons["user_id"].isin(first["user_id"])].sort_values(["target", "rank"], kind="stable")
    by_user = {key: list(part[f"sentence_{language}"]) for key, part in reasons.groupby(["user_id", "target"])}
    rows = records(first)
    for row in rows:
        row["reasons"] = {t: by_user[row["user_id"], t] for t in TARGETS if (row["user_id"], t) in by_user}
    return rows


def _unscored(tables: Tables) -> list[dict[str, Any]]:
    groups = table_of(tables, "unscored").groupby("reason", sort=True)
    return [
        {"reason": r, "users": len(p), "last_day": max((d for d in p["last_day"] if not pd.isna(d)), default=None)}
        for r, p in groups
    ]


# --- the run --------------------------------------------------------------------------------------
def _why_no_sticker(targets: Mapping[str, Any], notes: Sequence[str], experiment: Experiment) -> str | None:
    """Code of why there is no sticker model, null where there is one."""
    if targets["sticker"]:
        return None
    if experiment.targets.sticker is None:
        return "no_sticker_target"
    return next((n for n in ("sticker_never", "sticker_one_class") if n in notes), "sticker_missing")


def _setting(experiment: Experiment) -> dict[str, Any]:
    sticker = experiment.targets.sticker
    return {
        **experiment.windows.model_dump(),
        "timezone": experiment.log.timezone,
        "drop_duplicates": experiment.log.drop_duplicates,
        "split": experiment.split.kind,
        "test_share": experiment.split.test_share,
        "history": experiment.features.history,
        "use": experiment.models.use,
        "selector": experiment.explain.selector,
        "vif_limit": experiment.explain.vif_limit,
        "activity_events": experiment.targets.churn.events,
        "sticker_events": sticker.events if sticker else None,
        "sticker_side": sticker.side if sticker else None,
        "seed": experiment.experiment.seed,
    }


def _reproduce(experiment: Experiment, manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Seed, commit, versions, the data's files (names, not places) and the configuration."""
    config = experiment.model_dump(mode="json")
    if config["log"]["path"]:
        config["log"]["path"] = PurePath(config["log"]["path"]).name
    if not experiment.log.simulated:
        config.pop("simulation", None)  # it says nothing of this log
    data = manifest.get("data") or []
    files = [
        {k: PurePath(str(f[k])).name if k == "path" else f[k] for k in ("path", "size", "ends") if k in f}
        for f in ([data] if isinstance(data, Mapping) else data)
        if isinstance(f, Mapping)
    ]
    return {
        "seed": experiment.experiment.seed,
        "commit": manifest.get("commit"),
        "versions": dict(manifest.get("versions") or {}),
        "data": files,
        "config": config,
    }


def _labels(tables: Tables, language: str) -> dict[str, str]:
    """Names of features and flattened columns → what people call them."""
    labels: dict[str, str] = {}
    for name, key in (("features", "feature"), ("flat_columns", "column")):
        frame = table_of(tables, name)
        labels |= dict(zip(frame[key].astype(str), frame[f"label_{language}"].astype(str), strict=True))
    return labels
