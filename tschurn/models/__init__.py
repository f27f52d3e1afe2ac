"""windows → calibrated probabilities: experiments, search, baselines, choice, one look at test, the refit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np
    import pandas as pd

    from tschurn.config import Experiment
    from tschurn.contracts import Progress, Windows


def fit_target(
    windows: Windows,
    target: str,
    experiment: Experiment,
    threads: int,
    folder: Path,
    unfinished: Path,
    progress: Progress,
    test_evaluations: int,
    refit: bool = True,
) -> dict[str, pd.DataFrame]:
    """Everything for one target → its tables by name; models are saved in `folder`.

    unfinished: where experiments and searches keep what has ended, until the stage is complete.
    test_evaluations: how often test has been looked at in this run folder, this time included.
    refit: whether to fit the used model again on all closed windows, and score the newest ones by it.
    """
    import pandas as pd

    from tschurn.models.scoring import refit_and_score
    from tschurn.models.training import train
    from tschurn.models.verdict import evaluate

    trained = train(windows, target, experiment, threads, folder, unfinished, progress)
    tables = evaluate(windows, target, trained, experiment.experiment.seed)
    scores, out_of_time, agreement = (
        refit_and_score(windows, target, trained, folder, experiment.experiment.seed) if refit else (None, None, None)
    )
    used = trained.models[trained.used]
    summary = {
        "target": target, "used": trained.used, "best_network": trained.best_network,
        "best_baseline": trained.best_baseline,
        "calibration": trained.calibrations[trained.used].method, "refit_spearman": agreement,
        "epochs": getattr(used, "epochs", None), "test_evaluations": test_evaluations,
    }  # fmt: skip
    tables |= {"scores": scores, "out_of_time": out_of_time} if refit else {}
    return tables | {
        "experiments": pd.DataFrame(trained.experiments).assign(target=target),
        "trials": pd.DataFrame(trained.trials).assign(target=target),
        "log_odds": trained.log_odds,
        "predictions": _predictions(windows, target, trained),
        "target_summary": pd.DataFrame([summary]).astype({"epochs": "Int32"}),
    }


def _predictions(windows: Windows, target: str, trained) -> pd.DataFrame:
    """Evaluated models → PREDICTIONS: every closed window with every model's calibrated probability."""
    import pandas as pd

    from tschurn.models.blocks import Blocks

    blocks = Blocks.of(windows, target)
    closed = windows.index.iloc[blocks.closed][["user_id", "anchor_day", "split"]]
    parts = [
        closed.assign(target=target, model=name, p=trained.calibrations[name](values.to_numpy()[blocks.closed]),
                      y=blocks.y[blocks.closed].astype("int8"))
        for name, values in trained.log_odds.items()
    ]  # fmt: skip
    return pd.concat(parts, ignore_index=True)


def asked(folder: Path, windows: Windows) -> tuple[Callable[[Windows], np.ndarray], Callable[[np.ndarray], np.ndarray]]:
    """A saved model with its calibration → what gives its log-odds for all windows of any like those, and from log-odds
    probabilities.

    For as many threads of the caller as it likes: the model uses none of its own.
    """
    import numpy as np

    from tschurn.models.calibration import Calibration
    from tschurn.models.forward import use_threads
    from tschurn.models.refit import load_learned
    from tschurn.models.saved import load_model

    model = load_model(folder, windows)
    calibration = load_learned(folder / "calibration.json", Calibration)
    use_threads(1)

    def log_odds(any_windows: Windows) -> np.ndarray:
        return model.log_odds(any_windows, np.arange(len(any_windows.index)))

    def probabilities(values: np.ndarray) -> np.ndarray:
        return calibration(values.ravel()).reshape(values.shape)

    return log_odds, probabilities


def direct_explainer(folder: Path, windows: Windows):
    """A saved model → what explains it exactly (columns, values, contributions), or None if nothing does."""
    from tschurn.models.saved import load_model

    return explains_itself(load_model(folder, windows), windows)


def explains_itself(model: Any, windows: Windows):
    """As `direct_explainer`, of a model that is loaded."""
    from tschurn.models.baselines import Logistic
    from tschurn.models.boosting import Boosting
    from tschurn.models.direct import Direct

    return Direct(model, windows) if isinstance(model, Boosting | Logistic) else None
