"""trials so far → the next hyperparameters to try: keras-tuner's Bayesian oracle, made repeatable.

What keras-tuner's own does not do: draw each proposal from (seed, trial number) alone, so that a search that was
killed goes on as an unbroken one would; never propose twice what was tried; end when nothing is left to try.
"""

from __future__ import annotations

import itertools
import math
import warnings
from pathlib import Path
from typing import Any

import keras_tuner as kt
import numpy as np
from keras_tuner.engine.trial import Trial, TrialStatus
from sklearn.gaussian_process import GaussianProcessRegressor

from tschurn.disk import read_sealed, write_sealed

_ENUMERATED = 4096  # a finite space up to this size is looked through whole
_DRAWN = 1024  # of a larger one: so many at random, and as many near the best so far
_NEAR, _BEST = 0.1, 3  # how near, in the unit cube; to how many of the best


class Oracle(kt.oracles.BayesianOptimizationOracle):
    """Gaussian process and upper confidence bound, over configurations that can really be tried.

    The space has no conditions. The first trial is its defaults, the next ones are random, then the process
    proposes: it maximises over configurations instead of the unit cube, so that what is scored is what the
    process was asked about (Garrido-Merchán and Hernández-Lobato 2020). Trials that still run count as if they
    had turned out as expected (the "kriging believer", Ginsbourger, Le Riche and Carraro 2010).

    What was tried is read from the trials' files alone: keras-tuner's oracle.json lacks the random state, and a
    kill may leave the two contradicting each other.
    """

    def __init__(self, space: kt.HyperParameters, objective: kt.Objective, trials: int, seed: int, folder: Path):
        super().__init__(
            objective, max_trials=trials, hyperparameters=space, allow_new_entries=False,
            # keras-tuner's own default, three per dimension, would leave 15 trials all random
            num_initial_points=max(3, trials // 3), seed=seed + 1,  # it takes 0 for none
        )  # fmt: skip
        self._set_project_dir(str(folder.parent), folder.name)
        self.verbose = 0
        if any(folder.glob("trial_*/trial.json")):
            self.reload()

    def _make_gpr(self) -> GaussianProcessRegressor:
        """keras-tuner's, with fewer restarts: there is one length scale to find."""
        return super()._make_gpr().set_params(n_restarts_optimizer=3)

    def populate_space(self, trial_id: str) -> dict[str, Any]:
        """The number of a trial → its values; STOPPED where all have been tried."""
        number = int(trial_id)
        random = np.random.default_rng([self.seed, 6, number])
        if number == 0:
            return {"status": TrialStatus.RUNNING, "values": {hp.name: hp.default for hp in self.hyperparameters.space}}
        known = [t for t in self.trials.values() if t.status == TrialStatus.COMPLETED]
        untried = self._untried(random, known)
        if not untried:
            return {"status": TrialStatus.STOPPED, "values": None}
        proposed = untried[0] if number < self.num_initial_points or not known else self._promising(untried, known)
        return {"status": TrialStatus.RUNNING, "values": proposed}

    def _promising(self, untried: list[dict[str, Any]], known: list[Trial]) -> dict[str, Any]:
        """The configuration with the best upper confidence bound."""
        waiting = [t for t in self.trials.values() if t.status == TrialStatus.RUNNING]
        places = np.array([self._place(t.hyperparameters.values) for t in [*known, *waiting]])
        sign = -1 if self.objective.direction == "max" else 1
        losses = np.array([sign * t.score for t in known])
        candidates = np.array([self._place(values) for values in untried])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of length scales at the end of their range, with few trials
            self.gpr.fit(places[: len(known)], losses)
            if waiting:
                believed = self.gpr.predict(places[len(known) :])
                self.gpr.fit(places, np.append(losses, believed))
            mean, deviation = self.gpr.predict(candidates, return_std=True)
        return untried[int(np.argmin(mean - self.beta * deviation))]

    def _untried(self, random: np.random.Generator, known: list[Trial]) -> list[dict[str, Any]]:
        """Configurations that no trial has had, in random order: all of a small space, else a sample."""
        space = self.hyperparameters.space
        choices = [list(hp.values) if getattr(hp, "step", 1) is not None else None for hp in space]
        if all(choices) and math.prod(map(len, choices)) <= _ENUMERATED:
            names = [hp.name for hp in space]
            found = [dict(zip(names, values, strict=True)) for values in itertools.product(*choices)]
            found = [found[i] for i in random.permutation(len(found))]
        else:
            places = random.random((_DRAWN, len(space)))
            best = sorted(known, key=lambda t: t.score, reverse=self.objective.direction == "max")[:_BEST]
            if best:
                centres = np.array([self._place(t.hyperparameters.values) for t in best])
                near = np.resize(centres, places.shape) + _NEAR * random.standard_normal(places.shape)
                places = np.concatenate([places, np.clip(near, 0, 1)])
            found = [{hp.name: hp.prob_to_value(p) for hp, p in zip(space, row, strict=True)} for row in places]
        return [values for values in found if not self._duplicate(values)]

    def _place(self, values: dict[str, Any]) -> list[float]:
        """Values → their place in the unit cube."""
        return [hp.value_to_prob(values[hp.name]) for hp in self.hyperparameters.space]

    @kt.synchronized
    def end_trial(self, trial: Trial) -> None:
        """A trial has its score; its values stay those that were proposed, since gRPC rounds them."""
        trial.hyperparameters = self.trials[trial.trial_id].hyperparameters
        super().end_trial(trial)

    def _save_trial(self, trial: Trial) -> None:
        write_sealed(Path(self._get_trial_dir(trial.trial_id)) / "trial.json", trial.get_state())

    def save(self) -> None:
        """Nothing: the trials' files say all."""

    def reload(self) -> None:
        """Trials' files → what was tried; trials that had not ended, or whose result is lost, are to be run again."""
        states = [(f, read_sealed(f)) for f in sorted(Path(self._project_dir).glob("trial_*/trial.json"))]
        found = [_tried(state, file.with_name("result.json")) for file, state in states if state is not None]
        self.trials = {trial.trial_id: trial for trial in found}
        self.start_order = list(self.trials)
        self.end_order = [t.trial_id for t in found if t.status == TrialStatus.COMPLETED]
        # taken from its end
        self._retry_queue = [t.trial_id for t in reversed(found) if t.status != TrialStatus.COMPLETED]
        for trial in found:
            self._record_values(trial)

    def upcoming(self) -> int:
        """The number of the trial that is run next."""
        return int(self._retry_queue[-1]) if self._retry_queue else len(self.trials)


def _tried(state: dict[str, Any], result: Path) -> Trial:
    trial = Trial.from_state(state)
    if read_sealed(result) is not None:
        return trial
    return Trial(hyperparameters=trial.hyperparameters, trial_id=trial.trial_id, status=TrialStatus.RUNNING)
