"""predictions of all models on test → METRICS, DIFFERENCES, DIFFERENCES_BY_ANCHOR, RELIABILITY, CALIBRATION_CHOICE,
TEST_INTERVALS.

The only module that compares models by test labels.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from tschurn.contracts import Windows
from tschurn.models import evaluation as ev
from tschurn.models.blocks import Blocks
from tschurn.models.training import Trained
from tschurn.models.venn_abers import fit_intervals


def evaluate(windows: Windows, target: str, trained: Trained, seed: int) -> dict[str, pd.DataFrame]:
    """Trained models → the tables above by name, for one target."""
    blocks = Blocks.of(windows, target)
    index = windows.index.iloc[blocks.test]
    y = blocks.y[blocks.test]
    weights = ev.two_way_weights(index["user"].to_numpy(), index["anchor"].to_numpy(), seed)
    p = {n: trained.calibrations[n](trained.log_odds[n].to_numpy()[blocks.test]) for n in trained.models}
    metrics, replicates = [], {}
    for name, model in trained.models.items():
        point, drawn = ev.metrics(y, p[name]), ev.metrics(y, p[name], weights)
        replicates[name] = drawn["ap"]
        point["ece_perfect"] = np.array([ev.ece_of_perfect_model(p[name], seed)])
        for metric in ev.METRIC_NAMES:
            low, high = ev.interval(drawn[metric]) if metric in drawn else (None, None)
            metrics.append(
                {"target": target, "model": name, "kind": model.kind, "metric": metric,
                 "value": float(point[metric][0]),
                 "low": low, "high": high, "validation_ap": trained.validation_ap[name], "used": name == trained.used}
            )  # fmt: skip
    ap = {name: ev.average_precision(y, p[name]) for name in trained.models}
    differences = [
        _difference(target, trained, name, ap, replicates) for name in trained.models if name != trained.used
    ]
    # the strictest: the baseline that is best on test; for a baseline, the network that is
    against = "network" if trained.models[trained.used].kind == "baseline" else "baseline"
    rival = max((n for n, m in trained.models.items() if m.kind == against), key=lambda n: (np.nan_to_num(ap[n]), n))
    intervals = _intervals(windows, target, trained, blocks, seed)
    ends = (intervals[end].to_numpy() for end in ("p_low", "p_high"))
    curve = [{"target": target, "model": trained.used, **row} for row in ev.reliability(y, p[trained.used], *ends)]
    return {
        "metrics": pd.DataFrame(metrics),
        "differences": pd.DataFrame(differences),
        "differences_by_anchor": _by_anchor(target, index, y, p[trained.used], p[rival], rival),
        "reliability": pd.DataFrame(curve),
        "calibration_choice": _choice(target, trained),
        "test_intervals": intervals,
    }


def _intervals(windows: Windows, target: str, trained: Trained, blocks: Blocks, seed: int) -> pd.DataFrame:
    """→ TEST_INTERVALS: those of the used model, learned where its calibration was."""
    log_odds = trained.log_odds[trained.used].to_numpy()
    known, test = blocks.calibration, blocks.test
    user, anchor = (windows.index[c].to_numpy()[known] for c in ("user", "anchor"))
    intervals = fit_intervals(trained.held[trained.used], blocks.y[known], user, anchor, seed)
    low, high = intervals(log_odds[test], trained.calibrations[trained.used](log_odds[test]))
    keys = windows.index.iloc[test][["user_id", "anchor_day"]].reset_index(drop=True)
    return keys.assign(target=target, p_low=low, p_high=high)


def _choice(target: str, trained: Trained) -> pd.DataFrame:
    """→ CALIBRATION_CHOICE of the used model."""
    calibration = trained.calibrations[trained.used]
    alone = [{"method": calibration.method, "log_loss": None, "ece": None}]
    rows = [
        {"target": target, "model": trained.used, **tried, "chosen": tried["method"] == calibration.method}
        for tried in calibration.tried or alone
    ]
    return pd.DataFrame(rows)


def _difference(
    target: str, trained: Trained, versus: str, ap: dict[str, float], replicates: dict[str, np.ndarray]
) -> dict[str, object]:
    low, high = ev.interval(replicates[trained.used] - replicates[versus])
    difference = ap[trained.used] - ap[versus]
    return {"target": target, "used": trained.used, "versus": versus, "versus_kind": trained.models[versus].kind,
            "difference": difference, "low": low, "high": high}  # fmt: skip


def _by_anchor(
    target: str, index: pd.DataFrame, y: np.ndarray, p: np.ndarray, rival_p: np.ndarray, rival: str
) -> pd.DataFrame:
    rows = []
    days = index["anchor_day"].to_numpy()
    for day in pd.unique(days):
        here = days == day
        both = 0 < y[here].sum() < here.sum()
        difference = (
            ev.average_precision(y[here], p[here]) - ev.average_precision(y[here], rival_p[here]) if both else None
        )
        rows.append(
            {"target": target, "anchor_day": day, "versus": rival, "windows": int(here.sum()), "difference": difference}
        )
    return pd.DataFrame(rows)
