"""A finished run's folder → what scores users, part by part: features, models, reasons, all as the run has them.

The same for a list of everybody and for one user, on this machine and in Spark's executors. Only what is safe to read
is read: Parquet, JSON, plain arrays and LightGBM's text; nothing in the folder is executed.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tschurn import contracts as c
from tschurn import disk
from tschurn.config import Experiment
from tschurn.errors import ContractError, ModelError, RunFolderError
from tschurn.reporting import configuration, finished_stages, read_manifest, refuse_damaged, require
from tschurn.runs import StageFolder
from tschurn.targets import targets_and_notes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import ibis.expr.types as ir
    import numpy as np
    import pandas as pd

    from tschurn.explain.told import Told
    from tschurn.features.frozen import Frozen, Span
    from tschurn.features.windows import WindowSet
    from tschurn.models.calibration import Calibration
    from tschurn.models.refit import Refit
    from tschurn.models.value import Expected
    from tschurn.models.venn_abers import Intervals

RECALIBRATED = "recalibrated"  # the folder, below a run's, of calibrations that are newer than the run
NOTE = "recalibration.json"  # in it
# Users, drawn by their ids, whose windows are looked at for more than the list: drift, and recalibration.
SAMPLED_USERS = 50_000
_IDS = 1 << 32
# The stages, besides those of each target, that scoring reads.
_WHOLE = ("windows", "log", "value", "segments", "reference")


@dataclass(frozen=True)
class Wanted:
    """What is to be made of a log: the span with its anchors, FACTS, and the share of users that drift is told by.

    listed: whether reasons and all else that a list tells are wanted, or probabilities alone.
    """

    span: Span
    facts: pd.DataFrame
    sampled: float = 0.0
    listed: bool = True


class Scorer:
    """A finished run. Picklable: executors open its folder themselves, which must be there under the same path."""

    def __init__(self, folder: Path, newer: bool = True) -> None:
        """newer: whether calibrations that are newer than the run take the place of its own.

        Raises RunFolderError where `folder` holds no finished run, or one of another version of tschurn.
        """
        self.folder, self.newer = folder.resolve(), newer
        self.manifest = read_manifest(folder)
        self.experiment: Experiment = configuration(self.manifest, folder)
        stages = finished_stages(self.folder)
        try:
            self._require(_WHOLE, stages)
            self.windows = stages["windows"].read(c.WINDOWS)
            self.features = stages["windows"].read(c.FEATURES)
            self.log = stages["log"].read(c.LOG_SUMMARY).iloc[0]
            self.threshold = stages["segments"].read(c.THRESHOLD)
        except (ContractError, OSError, ValueError) as error:
            raise RunFolderError(f"{folder}: {error}; run the experiment again") from None
        self.targets, _ = targets_and_notes(self.windows, self.experiment)
        self._require([f"{stage}.{t}" for stage in ("models", "explain", "seeds") for t in self.targets], stages)

    def _require(self, names: Iterable[str], stages: Mapping[str, StageFolder]) -> None:
        """Raise RunFolderError where the run lacks a stage, or where one is not as the run left it."""
        require(names, stages, self.folder)
        for name in names:  # of large arrays, which are not read here, nothing is asked
            refuse_damaged([name], stages, self.folder, ".parquet" if name in ("windows", "log") else "")

    def __getstate__(self) -> dict[str, Any]:
        """Without what was loaded: models are opened where they are used."""
        return {k: v for k, v in self.__dict__.items() if k not in ("frozen", "expected", "_loaded")}

    def stage(self, name: str) -> Path:
        """Where the results of a stage lie."""
        return self.folder / "stages" / name

    @cached_property
    def frozen(self) -> Frozen:
        """What computes the run's features."""
        from tschurn import features

        return features.frozen_features(self.features, self.experiment)

    @cached_property
    def expected(self) -> Expected | None:
        """What stickers those who stay are worth; None where the run learned nothing of it."""
        from tschurn.models import value

        return value.load_expected(self.stage("value"))

    @cached_property
    def recalibration(self) -> dict[str, Any] | None:
        """What is told of calibrations newer than the run, if there are any of this very run. Raises ModelError."""
        note = self.folder / RECALIBRATED / NOTE
        if not self.newer or not note.exists():
            return None
        try:
            told = json.loads(note.read_text(encoding="utf-8"))
            return told if told["models"] == self.models else None
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise ModelError(
                f"{note}: cannot be read ({type(error).__name__}: {error}); recalibrate again, or remove its folder"
            ) from None

    @cached_property
    def reference(self) -> dict[str, pd.DataFrame]:
        """REFERENCE tables by name: what drift is measured against."""
        from tschurn import drift

        stage = StageFolder(self.stage("reference"))
        return {table.name: stage.read(table) for table in drift.REFERENCE}

    def tested(self, target: str) -> pd.DataFrame:
        """PREDICTIONS of the used model on the test windows of a target."""
        stage = StageFolder(self.stage(f"models.{target}"))
        used = stage.read(c.TARGET_SUMMARY)["used"].iloc[0]
        return stage.read(c.PREDICTIONS, filters=[("model", "==", used), ("split", "==", "test")])

    @property
    def models(self) -> dict[str, str]:
        """Of each target what identifies its models: a calibration is of these alone."""
        notes = {target: disk.read_sealed(self.stage(f"models.{target}") / "stage.json") for target in self.targets}
        return {target: note["key"] if note else "" for target, note in notes.items()}

    def calibrated(self, target: str) -> tuple[Calibration, Intervals]:
        """A target's calibration and intervals: the newest there are."""
        from tschurn.models import refit, saved

        newer = self.folder / RECALIBRATED / target
        own = self.stage(f"models.{target}") / saved.REFIT
        return refit.load_calibration(newer if self.recalibration and newer.is_dir() else own)

    def part(self, event_log: ir.Table, acts: ir.Table, wanted: Wanted) -> dict[str, pd.DataFrame]:
        """EVENT_LOG and DAILY of some users → tables by name.

        "scores" and "unscored" at the newest anchor; of sampled users "closed": log-odds, probability and, where it is
        known, outcome at all anchors. Where a list is wanted also "told" (TOLD: nothing else of a user's reasons and
        habits is kept, since there may be millions), "money", "expected_values", "seed_scores" and "eligible" (windows
        at each anchor); of sampled users "sample" (windows of all anchors, with their features) and "pushes.<target>"
        (what each feature does to the log-odds at the newest anchor).
        """
        import numpy as np
        import pandas as pd

        from tschurn import segments

        part = self.frozen.part(event_log, acts, wanted.facts, wanted.span)
        windows, newest = part.windows, int(wanted.span.anchors[-1])
        now = np.flatnonzero(windows.index["anchor"].to_numpy() == newest)
        drawn = _drawn(windows.index["user_id"], wanted.sampled)
        before = np.flatnonzero(drawn & (windows.index["anchor"].to_numpy() < newest))
        rows = np.concatenate([before, now])
        found: dict[str, list[pd.DataFrame]] = {}
        for target in self.targets:
            for name, table in self._of_target(target, windows, rows, now, drawn, wanted).items():
                found.setdefault(name, []).append(table)
        tables = {name: pd.concat(some, ignore_index=True) for name, some in found.items()}
        tables["unscored"] = part.unscored
        if wanted.listed:
            keys, money = windows.index[["user_id", "anchor_day"]].iloc[now], part.money.iloc[now]
            tables["told"] = segments.told_of(keys, tables.pop("reasons"), windows.profile(now), money, self.experiment)
            tables |= {"money": money, "expected_values": self._expected(windows, now)}
            looked_at = np.sort(rows[drawn[rows]])
            index = windows.index.iloc[looked_at].drop(columns=["user", "split"]).reset_index(drop=True)
            tables["sample"] = pd.concat([index, windows.profile(looked_at).drop(columns="user_id")], axis=1)
            tables["eligible"] = windows.index.groupby("anchor_day").size().rename("windows").reset_index()
        return tables

    def _of_target(
        self, target: str, windows: WindowSet, rows: np.ndarray, now: np.ndarray, drawn: np.ndarray, wanted: Wanted
    ) -> dict[str, pd.DataFrame]:
        """The tables of one target; rows: those before the newest anchor, then `now`."""
        import numpy as np
        import pandas as pd

        from tschurn.explain import told

        models = self._models(target, windows)
        log_odds = models.refit.model.log_odds(windows, rows)
        probabilities = models.refit.scores(log_odds)
        index = windows.index.iloc[rows].reset_index(drop=True).assign(target=target)
        here = np.arange(len(rows)) >= len(rows) - len(now)
        scores = index.join(probabilities)[here]
        tables = {"scores": scores[list(c.SCORES.columns)]}
        closed = index[["user_id", "anchor_day", "closed", "target"]].assign(
            log_odds=log_odds, p=probabilities["p"], y=index[c.LABELS[target]],
            counts=self._counted(windows, target)[rows],
        )  # fmt: skip
        if wanted.listed:
            # lists tell why somebody goes quiet; the reasons of other targets are looked at in the sample
            asked = now if target == "churn" else now[drawn[now]]
            known = np.union1d(rows[drawn[rows]], asked)
            own = pd.Series(models.evaluated.log_odds(windows, known), index=known)
            given = told.give_again(
                models.told, windows, asked, models.direct(windows), own[asked].to_numpy(), self.experiment.run.threads
            )
            if target == "churn":
                tables["reasons"] = given.reasons.assign(target=target)
            keys = windows.index[["user_id", "anchor_day"]].iloc[asked].reset_index(drop=True)
            tables[f"pushes.{target}"] = keys.join(given.pushes)[drawn[asked]]
            tables["seed_scores"] = self._seeds(target, models, windows, now)
            closed["own_log_odds"] = own.reindex(rows).to_numpy()
        tables["closed"] = closed[drawn[rows]]
        return tables

    def _seeds(self, target: str, models: _Models, windows: WindowSet, now: np.ndarray) -> pd.DataFrame:
        import pandas as pd

        keys = windows.index[["user_id"]].iloc[now].reset_index(drop=True).assign(target=target)
        parts = [
            keys.assign(seed=seed, p=models.refit.calibration(model.log_odds(windows, now)))
            for seed, model in models.reseeded.items()
        ]
        empty = keys.iloc[:0].assign(seed=0, p=0.0)
        return pd.concat([empty, *parts], ignore_index=True)[list(c.SEED_SCORES.columns)]

    def _expected(self, windows: WindowSet, now: np.ndarray) -> pd.DataFrame:
        rows = now[:0] if self.expected is None else now
        worth = 0.0 if self.expected is None else self.expected(windows, rows)
        keys = windows.index[["user_id", "anchor_day"]].iloc[rows].reset_index(drop=True)
        found = keys.assign(fit="refit", expected=worth)
        return found[list(c.EXPECTED_VALUES.columns)]

    def _counted(self, windows: WindowSet, target: str) -> np.ndarray:
        """[windows] bool: whether the outcome of a window says something of the target."""
        import numpy as np

        stays = windows.index["churned"].fillna(1).to_numpy() == 0
        return stays if target in windows.lives.of_staying else np.ones(len(stays), dtype=bool)

    def _models(self, target: str, windows: WindowSet) -> _Models:
        loaded: dict[str, _Models] = self.__dict__.setdefault("_loaded", {})
        if target not in loaded:
            loaded[target] = _Models.load(self, target, windows)
        return loaded[target]


@dataclass(frozen=True)
class _Models:
    """What a run has of one target, opened."""

    refit: Refit
    evaluated: Any
    told: Told
    reseeded: Mapping[int, Any]

    @classmethod
    def load(cls, scorer: Scorer, target: str, windows: WindowSet) -> _Models:
        from tschurn import explain
        from tschurn.explain import told
        from tschurn.models import refit, reseeded, saved

        folder = scorer.stage(f"models.{target}")
        return cls(
            refit.Refit(saved.load_model(folder / saved.REFIT, windows), *scorer.calibrated(target)),
            saved.load_model(folder / "evaluated", windows),
            told.load(scorer.stage(f"explain.{target}") / explain.TOLD),
            reseeded.load_reseeded(scorer.stage(f"seeds.{target}"), windows),
        )

    def direct(self, windows: WindowSet) -> Any:
        """What explains the model exactly; None where a surrogate does."""
        from tschurn import models

        return models.explains_itself(self.evaluated, windows) if self.told.surrogate is None else None


def _drawn(user_id: pd.Series, share: float) -> np.ndarray:
    """Ids [n] → whether each is of the sample [n] bool: by the id alone, whoever else there is."""
    import numpy as np
    import pandas as pd

    if share <= 0 or share >= 1:
        return np.full(len(user_id), share >= 1)
    digest = pd.util.hash_array(user_id.astype("str").to_numpy(dtype=object), categorize=False) % np.uint64(_IDS)
    return digest < np.uint64(share * (_IDS - 1))
