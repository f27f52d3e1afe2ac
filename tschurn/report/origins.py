"""Table of origins → what the report says of a rolling split: each test period, and all of them together."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from tschurn.report.values import Tables, number, table_of
from tschurn.report.verdict import METRIC_NAMES, models_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tschurn.config import Experiment

TARGETS = ("churn", "sticker")


def origins_summary(tables: Tables, experiment: Experiment) -> dict[str, Any] | None:
    """ORIGINS → how many periods were asked for, and each target's; null unless the split is rolling."""
    if experiment.split.kind != "rolling":
        return None
    found = {t: _of_target(tables, t) for t in TARGETS}
    return {"asked": experiment.split.origins, "targets": {t: one for t, one in found.items() if one}}


def _of_target(tables: Tables, target: str) -> dict[str, Any] | None:
    """The periods in order, the used model and the baselines over all of them, and who wins how often.

    beaten: in how many periods a baseline has a higher AP than the model that was used there.
    """
    periods = [_period(part) for _, part in table_of(tables, "origins", target).groupby("origin", sort=True)]
    if not periods:
        return None
    used, winners = [p["used"] for p in periods], [p["winner"] for p in periods]
    baselines = sorted({m["name"] for p in periods for m in p["models"] if m["kind"] == "baseline"})
    over_all = {name: _over([_named(p, name) for p in periods]) for name in baselines}
    return {
        "periods": periods,
        "used": _over([_named(p, p["used"]) for p in periods]),
        "baselines": dict(sorted(over_all.items(), key=lambda item: -number(item[1]["ap"]["mean"], -1.0))),
        "same_used": used[0] if len(set(used)) == 1 else None,
        "same_winner": winners[0] if len(set(winners)) == 1 else None,
        "beaten": sum(bool(p["ahead"]) for p in periods),
    }


def _period(rows: Any) -> dict[str, Any]:
    """Rows of ORIGINS at one origin → its days and models, the highest AP on test first.

    ahead: the baselines with a higher AP than the model that was used.
    """
    models = models_of(rows)
    used = next(m for m in models if m["used"])
    better = [m["name"] for m in models if m["kind"] == "baseline" and number(m["ap"], -1.0) > number(used["ap"], -1.0)]
    about = {k: rows[k].iloc[0] for k in ("origin", "first_day", "last_day", "windows")}
    return about | {"used": used["name"], "winner": models[0]["name"], "ahead": better, "models": models}


def _named(period: dict[str, Any], name: str) -> dict[str, Any] | None:
    return next((m for m in period["models"] if m["name"] == name), None)


def _over(models: Sequence[dict[str, Any] | None]) -> dict[str, dict[str, Any]]:
    """A model's figures period by period (null where it was not there) → each metric's values, mean and spread."""
    result = {}
    for metric in METRIC_NAMES:
        values = [None if m is None else number(m[metric], None) for m in models]
        known = [v for v in values if v is not None]
        result[metric] = {
            "values": values,
            "mean": float(np.mean(known)) if known else None,
            "sd": float(np.std(known, ddof=1)) if len(known) > 1 else None,
            "lowest": min(known, default=None),
            "highest": max(known, default=None),
        }
    return result
