"""a run's stages, or a later log that was scored → what drift is told by: windows, features, scores and their reasons.

Log-odds and what features do to them are the evaluated model's on both sides, probabilities those of the list: the
refit's level is another, and a move between the two would be no drift.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from tschurn import contracts as c
from tschurn import drift, explain, models
from tschurn.config import Experiment
from tschurn.explain import told
from tschurn.runs import StageFolder

if TYPE_CHECKING:
    from tschurn.features.windows import WindowSet

PUSHED_WINDOWS = 20_000  # of test, whose contributions are looked at


def span_of(experiment: Experiment) -> int:
    """The days that a window observes, or those of its outcome if these are more."""
    return max(experiment.windows.observe_days, experiment.windows.outcome_days)


def reference(
    stages: Mapping[str, StageFolder], windows: WindowSet, experiment: Experiment, targets: list[str]
) -> dict[str, pd.DataFrame]:
    """A run's finished stages (log, models and explain of each target) and its windows → REFERENCE tables by name."""
    seed, span = experiment.experiment.seed, span_of(experiment)
    rows = drift.sample(windows.index, span, seed)
    seen = drift.Seen(
        index=windows.index,
        rows=rows,
        profile=windows.profile(rows),
        scores=pd.concat([_tested(stages[f"models.{t}"], windows, t) for t in targets], ignore_index=True),
        pushes={t: _pushes(stages, windows, t, experiment) for t in targets},
        events=stages["log"].read(c.EVENT_NAMES),
        span=span,
    )
    return drift.reference(seen, seed)


def of_log(tables: Mapping[str, pd.DataFrame], events: pd.DataFrame, experiment: Experiment, targets: list[str]) -> Any:
    """What `Scorer.part` made of sampled users, together, and EVENT_NAMES → drift.Seen of now."""
    sample = tables["sample"]
    features = sample[sample["anchor_day"] == sample["anchor_day"].max()]
    features = features.drop(columns=["anchor_day", "anchor", "closed", "churned", "sticker"])
    # how many windows there are is known of everybody, what is in them of the sample
    eligible = tables["eligible"].groupby("anchor_day")["windows"].sum()
    index = pd.DataFrame({"anchor_day": np.repeat(eligible.index.to_numpy(), eligible.to_numpy())})
    newest = np.flatnonzero(index["anchor_day"] == index["anchor_day"].max())
    scores = tables["closed"]
    known = scores["closed"].astype(bool) & scores["counts"].astype(bool)
    scores = scores.assign(y=scores["y"].astype("Float64").where(known), log_odds=scores["own_log_odds"])
    return drift.Seen(
        index=index,
        rows=newest[: len(features)],
        profile=features.reset_index(drop=True),
        scores=scores[["user_id", "anchor_day", "target", "p", "log_odds", "y"]],
        pushes={t: tables[f"pushes.{t}"] for t in targets},
        events=events,
        span=span_of(experiment),
    )


def _tested(stage: StageFolder, windows: WindowSet, target: str) -> pd.DataFrame:
    """The used model on the test windows: user_id, anchor_day, target, p, log_odds, y."""
    used = stage.read(c.TARGET_SUMMARY)["used"].iloc[0]
    test = windows.index["split"].to_numpy() == "test"
    index = windows.index[test]
    counts = (index["churned"] == 0) | (target not in windows.lives.of_staying)
    rows = index[["user_id", "anchor_day"]].assign(
        target=target,
        log_odds=stage.read(c.LOG_ODDS)[used].to_numpy()[test],
        y=index[c.LABELS[target]].astype("Float64").where(counts),
    )
    p = stage.read(c.OUT_OF_TIME)  # as the list would have scored them: PREDICTIONS are under another calibration
    keys = ["user_id", "anchor_day"]
    return rows.merge(p[[*keys, "p"]], on=keys, how="left", validate="one_to_one")


def _pushes(stages: Mapping[str, StageFolder], windows: WindowSet, target: str, experiment: Experiment) -> pd.DataFrame:
    """user_id, anchor_day and what each feature does to the log-odds, of (a sample of) the test windows."""
    test = np.flatnonzero(windows.index["split"] == "test")
    if len(test) > PUSHED_WINDOWS:
        random = np.random.default_rng([experiment.experiment.seed, 13])
        test = np.sort(random.choice(test, PUSHED_WINDOWS, replace=False))
    known = told.load(stages[f"explain.{target}"].path / explain.TOLD)
    direct = None
    if known.surrogate is None:
        direct = models.direct_explainer(stages[f"models.{target}"].path / "evaluated", windows)
    keys = windows.index[["user_id", "anchor_day"]].iloc[test].reset_index(drop=True)
    return keys.join(told.pushes_again(known, windows, test, direct, experiment.run.threads))
