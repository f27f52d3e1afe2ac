"""two run folders → what differs between them: in what was asked, in the models, in why, and in who comes first.

Only tables that the runs left are read; the one thing computed anew is the paired bootstrap of models that met the same
test windows. Figures of `a`, the first run, and `b`, the second, stand side by side; a difference is b − a.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tschurn import contracts as c
from tschurn.contracts import Progress, silent
from tschurn.errors import ContractError, RunFolderError
from tschurn.reporting import names_of_list, people_of
from tschurn.targets import counted
from tschurn.two_runs import (
    LABEL,
    SIDES,
    STICKER,
    Side,
    about,
    differing,
    differs,
    names_of,
    side_of,
    sides,
    warnings_of,
)

if TYPE_CHECKING:
    import numpy as np
    import pandas as pd

KEYS = ["user_id", "anchor_day"]
FEW_WINDOWS = 100  # of test in both runs, without which nothing is said of the difference


def compare(
    first: Path, second: Path, out: Path | None = None, language: str | None = None, progress: Progress = silent
) -> tuple[dict[str, Any], list[str]]:
    """Two finished runs → comparison.json and comparison.html in `out` (beside the second), in `language` (that of the
    second); → the former, and the same in a few sentences.

    Raises RunFolderError where a folder holds no finished run of this version of tschurn, or both hold the same one.
    """
    from tschurn import report

    if first.resolve() == second.resolve():
        raise RunFolderError(f"{first} and {second} are the same run; give two different ones")
    names = names_of(first.resolve(), second.resolve())
    out = out or second
    try:
        a, b = (side_of(folder, name) for folder, name in zip((first, second), names, strict=True))
        _usable(out)
        found = _results(a, b, language or b.experiment.experiment.language, progress)
    except ContractError as error:
        raise RunFolderError(f"{error}; one of the runs is of another version of tschurn, run it again") from None
    sentences = report.build_comparison(found, out)
    progress("comparison", 1, 1)
    return found, sentences


def _usable(out: Path) -> None:
    """Found out before minutes are spent, not after."""
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise RunFolderError(f"{out}: nothing can be written there ({error.strerror}); give a folder") from None


def _results(a: Side, b: Side, language: str, progress: Progress) -> dict[str, Any]:
    from tschurn.report.values import plain

    same = {t: not differing(a, b, LABEL if t == "churn" else (*LABEL, *STICKER)) for t in ("churn", "sticker")}
    targets = {}
    for i, target in enumerate(t for t in a.targets if t in b.targets):
        progress("comparison", i, 3, target)
        targets[target] = _target(a, b, target, same[target])
    progress("comparison", 2, 3, "list")
    found = {
        "language": language,
        **{s: about(side) for s, side in sides(a, b)},
        "differs": differs(a, b),
        "targets": targets,
        "list": _lists(a, b, same["churn"]),
        "quality": _quality(a, b),
        "labels": _labels(a, b, targets),
    }
    return plain(found | {"warnings": warnings_of(a, b, found, same)})


# --- the models -----------------------------------------------------------------------------------
def _target(a: Side, b: Side, target: str, same_labels: bool) -> dict[str, Any]:
    summaries = {s: side.table(f"models.{target}", c.TARGET_SUMMARY).iloc[0] for s, side in sides(a, b)}
    metrics = {s: side.table(f"models.{target}", c.METRICS) for s, side in sides(a, b)}
    used = {s: summaries[s]["used"] for s in SIDES}
    names = [metrics[s].drop_duplicates("model").set_index("model")["kind"] for s in SIDES]
    both = [m for m in names[1].index if m in names[0].index]
    paired = _paired(a, b, target, used, both) if same_labels else {"why": "definition", "windows": 0}
    compared = paired.pop("models", {})
    models = [
        {"model": m, "kind": names[m in names[1].index][m], **{s: _metrics(metrics[s], m) for s in SIDES},
         "paired": compared.get(m, {}).get("ap")}
        for m in dict.fromkeys([*both, used["a"], used["b"]])
    ]  # fmt: skip
    models.sort(key=lambda row: -max(((row[s] or {}).get("ap") or {}).get("value") or 0.0 for s in SIDES))
    return {
        "used": used,
        "calibration": {s: summaries[s]["calibration"] for s in SIDES},
        "models": models,
        "paired": paired | {"used": compared.get("used"), "verdict": _verdict(paired, compared.get("used"))},
        "surrogate": {s: _surrogate(side.table(f"explain.{target}", c.SURROGATES)) for s, side in sides(a, b)},
        "why": _why(a, b, target),
    }


def _metrics(table: pd.DataFrame, model: str) -> dict[str, Any] | None:
    """All metrics of a model on its whole test, with their intervals."""
    from tschurn.report.values import plain

    rows = table[table["model"] == model]
    return plain({r.metric: {"value": r.value, "low": r.low, "high": r.high} for r in rows.itertuples()}) or None


def _paired(a: Side, b: Side, target: str, used: Mapping[str, str], both: list[str]) -> dict[str, Any]:
    """The windows that are test in both runs → on them the used models by all metrics and every model that both have by
    those of rank, or why not."""
    import numpy as np

    from tschurn.models import evaluation, paired

    common = _common(a, b, target)
    windows = len(common)
    common = common.iloc[paired.drawn_users(common["user"].to_numpy(), b.experiment.experiment.seed)]
    y = common["y"].to_numpy(np.float64)
    about = {
        "windows": windows, "drawn": len(common), "users": int(common["user"].nunique()),
        "anchors": int(common["anchor_day"].nunique()), "relabelled": int(common["relabelled"].sum()),
        "base_rate": float(y.mean()) if len(y) else None,
    }  # fmt: skip
    if len(common) < FEW_WINDOWS:
        return about | {"why": "few" if len(common) else "no_common"}
    if len(np.unique(y)) < 2:
        return about | {"why": "one_class"}
    user, anchor = common["user"].to_numpy(), common["anchor_day"].to_numpy()

    def bootstrap(pairs: Mapping[str, tuple[str, str]], measure: Any) -> dict[str, Any]:
        values = {n: (_p(a, target, m, common), _p(b, target, k, common)) for n, (m, k) in pairs.items()}
        whole = {n: p for n, p in values.items() if not any(np.isnan(side).any() for side in p)}
        return paired.differences(y, user, anchor, whole, measure, b.experiment.experiment.seed)

    found = bootstrap({"used": (used["a"], used["b"])}, evaluation.metrics)
    for model in both:  # one by one: the predictions of all would not fit
        found |= bootstrap({model: (model, model)}, evaluation.resampled)
    return about | {"why": None if "used" in found else "predictions", "models": found}


def _common(a: Side, b: Side, target: str) -> pd.DataFrame:
    """Windows that are test in both: user_id, anchor_day, user (a number), y as the second run has it, and whether the
    first has it otherwise."""
    import pandas as pd

    label = c.LABELS[target]
    tests = []
    for side in (a, b):
        rows = side.windows[side.windows["split"] == "test"]
        tests.append(_keyed(counted(rows, target, side.experiment)[[*KEYS, label]]))
    both = tests[1].merge(tests[0], on=KEYS, suffixes=("", "_a")).sort_values(KEYS, ignore_index=True)
    user, _ = pd.factorize(both["user_id"])
    return both.assign(user=user, y=both[label].astype("float64"), relabelled=both[label] != both[f"{label}_a"])


def _keyed(frame: pd.DataFrame) -> pd.DataFrame:
    """Ids as text, so that those of two runs meet, and days that are quick to compare."""
    import pandas as pd

    return frame.assign(user_id=frame["user_id"].astype(str), anchor_day=pd.to_datetime(frame["anchor_day"]))


def _p(side: Side, target: str, model: str, common: pd.DataFrame) -> np.ndarray:
    """A model's probabilities on the common windows."""
    import numpy as np

    rows = side.table(f"models.{target}", c.PREDICTIONS, model=model, split="test")
    return common[KEYS].merge(_keyed(rows[[*KEYS, "p"]]), on=KEYS, how="left")["p"].to_numpy(np.float64)


def _verdict(paired: Mapping[str, Any], used: Mapping[str, Any] | None) -> str:
    """'better' or 'worse' (the second run's used model, by more than noise), 'noise', 'same' or 'unknown'."""
    ap = (used or {}).get("ap")
    if paired["why"] or ap is None or ap["difference"] is None or ap["low"] is None:
        return "unknown"
    if ap["difference"] == ap["low"] == ap["high"] == 0:
        return "same"
    return "better" if ap["low"] > 0 else "worse" if ap["high"] < 0 else "noise"


# --- why ------------------------------------------------------------------------------------------
def _surrogate(surrogates: pd.DataFrame) -> dict[str, Any] | None:
    """What the reasons are taken from, and its fidelity."""
    rows = surrogates[surrogates["explained"]]
    if rows.empty:
        return None
    row = rows.iloc[0]
    keys = ("model", "how", "columns", "r2", "spearman", "top_decile_overlap", "direction_agreement")
    return {key: row[key] for key in keys} | {"reliable": row["how"] == "direct" or bool(row["r2"] >= c.RELIABLE_R2)}


def _why(a: Side, b: Side, target: str) -> dict[str, Any] | None:
    from tschurn.explain import two_explanations

    def tables(side: Side) -> dict[str, pd.DataFrame]:
        stage = f"explain.{target}"
        explained = side.table(stage, c.SURROGATES)
        models = explained.loc[explained["explained"], "model"]
        importance = side.table(stage, c.IMPORTANCE)
        return {"importance": importance[importance["model"].isin(models)],
                "selection": side.table(stage, c.SELECTION),
                "flat_columns": side.table("columns", c.FLAT_COLUMNS)}  # fmt: skip

    return two_explanations.two_explanations(tables(a), tables(b))


def _labels(a: Side, b: Side, targets: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """By language, what people call the features and columns that are named."""
    whys = [t["why"] for t in targets.values() if t["why"]]
    named = {n for w in whys for n in (*w["entered"], *w["left"], *w["turned"], *(r["feature"] for r in w["shown"]))}
    places = (("windows", c.FEATURES, "feature"), ("columns", c.FLAT_COLUMNS, "column"))
    frames = [(side.table(stage, table), key) for side in (a, b) for stage, table, key in places]
    found: dict[str, dict[str, str]] = {}
    for language in ("en", "ko"):
        words: dict[str, str] = {}
        for frame, key in frames:
            words |= dict(zip(frame[key], frame[f"label_{language}"], strict=True))
        found[language] = {name: words.get(name, name) for name in sorted(named)}
    return found


# --- who first, and the log -----------------------------------------------------------------------
def _lists(a: Side, b: Side, same_labels: bool) -> dict[str, Any]:
    from tschurn.segments import two_lists

    shown = [_names_shown(side) for side in (a, b)]
    priorities = [
        _renamed(side.table("segments", c.PRIORITY), names) for side, names in zip((a, b), shown, strict=True)
    ]
    unscored = [_renamed(side.table("windows", c.UNSCORED), names) for side, names in zip((a, b), shown, strict=True)]
    churned = _renamed(_churned_since(a, b) if same_labels else b.windows.head(0), shown[0])
    churned = churned.drop_duplicates("user_id").set_index("user_id")["churned"].astype("float64")
    threshold = {s: side.table("segments", c.THRESHOLD).iloc[0] for s, side in sides(a, b)}
    rules = {s: {k: row[k] for k in ("method", "parameter", "threshold", "score")} for s, row in threshold.items()}
    seed = b.experiment.experiment.seed
    return {"rules": rules, **two_lists.two_lists(*priorities, *unscored, churned, seed)}


def _names_shown(side: Side) -> Callable[[pd.Series], pd.Series]:
    """Ids → as people may see them: as text, or the pseudonym of LIST; null for who has none."""
    if not side.experiment.list.pseudonyms:
        return lambda ids: ids.astype(str)
    names = names_of_list(side.table("segments", c.PRIORITY), people_of(side.folder))
    return lambda ids: ids.map(names)


def _renamed(frame: pd.DataFrame, names: Callable[[pd.Series], pd.Series]) -> pd.DataFrame:
    frame = frame.assign(user_id=names(frame["user_id"]))
    return frame[frame["user_id"].notna()]


def _churned_since(a: Side, b: Side) -> pd.DataFrame:
    """Windows of the second run at the anchor of the first one's list, if their outcome has been seen since."""
    anchor = a.table("segments", c.PRIORITY)["anchor_day"].max()
    return b.windows[(b.windows["anchor_day"] == anchor) & b.windows["closed"]]


def _quality(a: Side, b: Side) -> dict[str, list[dict[str, Any]]]:
    """Findings of the second run that the first has not, and the other way round."""
    from tschurn.report.values import records

    findings = [records(side.table("log", c.QUALITY)) for side in (a, b)]
    keys = [{_finding(row) for row in rows} for rows in findings]
    return {"new": [row for row in findings[1] if _finding(row) not in keys[0]],
            "gone": [row for row in findings[0] if _finding(row) not in keys[1]]}  # fmt: skip


def _finding(row: Mapping[str, Any]) -> str:
    return json.dumps([row[k] for k in ("check", "subject", "severity", "first_day")], default=str)
