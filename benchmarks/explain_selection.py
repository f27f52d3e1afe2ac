"""Boruta-SHAP side by side with the package BorutaShap: agreement, truth and CPU time; prints Markdown.

    python benchmarks/explain_selection.py [--quick] [--seeds 4] [--table NAME ...] [--full]

Agreement and time are of the same columns and rows, each column a feature of its own and each row a user of its
own, so that shadows are permuted rows in both. One thread, one process; engines take turns within each seed. Times
are CPU seconds of this process. The package has LightGBM as its model (100 trees of 31 leaves), which is the only one
with which it still runs; `sample=True` is its own way to save time.
"""

from __future__ import annotations

import argparse
import itertools
import os
import platform
import statistics
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from tables import head, row
from threadpoolctl import threadpool_limits

from tschurn import config, pipeline
from tschurn.contracts import LABELS, silent
from tschurn.explain import boruta_shap
from tschurn.explain.borutashap_package import select_with_package
from tschurn.explain.collinearity import remove_collinear
from tschurn.runs import Run
from tschurn.simulator.causes import CHANNELS
from tschurn.workers import open_windows

EXPERIMENTS = Path(__file__).resolve().parent.parent / "experiments"
FOUNDING, REAL = "creator_platform", "complete_journey"
TRIALS = 20  # the package's default
CORRELATION_ROWS = 20_000
REPLICATES = 2_000
ROLES = {"cause": "carry a cause", "distractor": "distractors", "independent": "independent noise",
         "user_constant": "noise constant per user"}  # fmt: skip
FULL, SAMPLE, OURS, OURS_DEFAULT = (
    f"package, {TRIALS} trials", f"package `sample=True`, {TRIALS} trials", f"**tschurn**, {TRIALS} trials",
    f"**tschurn**, {config.Explain().boruta_trials} trials (its default)",
)  # fmt: skip


@dataclass(frozen=True, eq=False)  # finished selections are kept by the object
class Options:
    """The options; `folder` is where windows are kept from one run to the next."""

    quick: bool
    seeds: int
    full: bool
    folder: Path


@dataclass(frozen=True, eq=False)
class Data:
    """Training windows as the selection gets them: collinear columns are gone."""

    values: np.ndarray  # [n × p]
    columns: list[str]
    features: list[str]  # of each column
    y: np.ndarray
    users: np.ndarray

    def take(self, rows: np.ndarray) -> Data:
        """Some of its rows, each for a user of its own."""
        return Data(self.values[rows], self.columns, self.features, self.y[rows], np.arange(len(rows)))


@dataclass(frozen=True)
class Selected:
    """One finished selection: its columns, accepted and kept, and what it cost."""

    table: pd.DataFrame
    accepted: frozenset[str]
    kept: frozenset[str]
    cpu: float
    wall: float


@cache
def opened(name: str, folder: Path, target: str = "churn") -> Data:
    """An experiment's name → its training windows, flat, without collinear columns."""
    experiment = config.load(EXPERIMENTS / f"{name}.toml")
    with Run(folder / name) as kept:
        stages = pipeline._Stages(experiment, kept, silent)
        if experiment.log.simulated:
            stages.simulation()
        stages.log([])
        stages.windows()
        windows = open_windows(stages.done["windows"], experiment)
    outcome = windows.index[LABELS[target]]
    known = outcome.notna() & (windows.index["split"] == "train")
    if target in windows.lives.of_staying:
        known &= windows.index[LABELS["churn"]] == 0
    rows = np.flatnonzero(known)
    values = np.vstack([windows.flat(part) for part in np.array_split(rows, len(rows) // 8_192 + 1)])
    flat = windows.flat_columns()
    some = np.random.default_rng(0).permutation(len(rows))[:CORRELATION_ROWS]
    table = remove_collinear(values[some], flat["column"].tolist(), experiment.explain.vif_limit)
    left = flat[table["kept"].to_numpy(bool)]
    return Data(
        values[:, left.index], left["column"].tolist(), left["feature"].tolist(),
        outcome.iloc[rows].to_numpy(dtype=float), windows.index["user"].to_numpy()[rows],
    )  # fmt: skip


def one_window_each(data: Data) -> Data:
    """A window per user at random, the same for all engines and seeds."""
    shuffled = np.random.default_rng(0).permutation(len(data.y))
    return data.take(np.sort(shuffled[np.unique(data.users[shuffled], return_index=True)[1]]))


def run(engine: str, data: Data, seed: int, trials: int | None = None, by_feature: bool = False) -> Selected:
    """One selection by an engine, timed."""
    choose: Callable[..., pd.DataFrame] = boruta_shap.select
    if engine in (FULL, SAMPLE):
        choose = partial(select_with_package, sample=engine == SAMPLE)
    elif by_feature:
        choose = partial(boruta_shap.select, features=data.features)
    trials = trials or (config.Explain().boruta_trials if engine == OURS_DEFAULT else TRIALS)
    cpu, wall = time.process_time(), time.perf_counter()
    table = choose(data.values, data.columns, data.y, data.users, trials=trials, seed=seed, threads=1)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    accepted = table.loc[table["decision"] == "accepted", "column"]
    selected = Selected(table, frozenset(accepted), frozenset(boruta_shap.kept(table)), cpu, wall)
    found = f"{len(accepted)} accepted, {len(selected.kept)} kept, {cpu:.1f} CPU s, {wall:.1f} s"
    size = f"{len(data.y):>6} × {len(data.columns)}, seed {seed}, {trials} trials"
    print(f"{engine:<45} {size}: {found}", file=sys.stderr, flush=True)
    return selected


@cache
def in_turn(name: str, options: Options) -> dict[str, list[Selected]]:
    """A case's name → the finished selections of its engines, a seed after the other."""
    data, engines = _case(name, options)
    found: dict[str, list[Selected]] = defaultdict(list)
    for seed in range(options.seeds):
        for engine in engines[seed % len(engines) :] + engines[: seed % len(engines)]:
            found[engine].append(run(engine, data, seed))
    return {engine: found[engine] for engine in engines}


CASES = {
    "founding": "simulated platform, all windows, every row a user of its own",
    "simulated": "simulated platform, one window of each user",
    "real": "grocery, one window of each user",
}


def _case(name: str, options: Options) -> tuple[Data, list[str]]:
    data = opened(REAL if name == "real" else FOUNDING, options.folder)
    if name == "founding":
        rows = np.arange(len(data.y)) if not options.quick else np.arange(0, len(data.y), 20)
        return data.take(rows), [*([FULL] if options.full else []), SAMPLE, OURS, OURS_DEFAULT]
    data = one_window_each(data)
    return data.take(np.arange(0, len(data.y), 5 if options.quick else 1)), [FULL, OURS, OURS_DEFAULT]


# --- tables ---------------------------------------------------------------------------------------
def trial_table(options: Options) -> None:
    """CPU seconds of a trial with all columns in it: mean of the first two, of the package at the founding size one."""
    head("case", "rows × columns", "package, full", "package, `sample=True`", "**tschurn**", "÷ full (goal 0.05)",
         "÷ `sample=True` (goal 0.2)")  # fmt: skip
    for name, title in CASES.items():
        data, _ = _case(name, options)
        trials = {FULL: 1 if name == "founding" else 2, SAMPLE: 2, OURS: 2}
        cpu = {engine: run(engine, data, 0, trials=n).cpu / n for engine, n in trials.items()}
        row(title, f"{len(data.y):,} × {len(data.columns)}", *(f"{cpu[e]:.2f}" for e in trials),
            *(f"{cpu[OURS] / cpu[e]:.3f}" for e in (FULL, SAMPLE)))  # fmt: skip


def agreement_table(options: Options) -> None:
    """Accepted and kept columns: mean Jaccard with the package, over pairs of seeds (95 % bootstrap over seeds).

    Of the package's own row the pairs are of its different seeds. Last: how much better (+) or worse (−) than that.
    """
    for name, title in CASES.items():
        found = in_turn(name, options)
        oracle = next(iter(found))  # the package, in full mode where it was run
        data, _ = _case(name, options)
        print(f"\n{title}: {len(data.y):,} × {len(data.columns)}, {options.seeds} seeds\n")
        head("engine", "CPU s a selection", "÷ the first row", "accepted", "Jaccard of accepted", "− package's own",
             "kept", "Jaccard of kept", "− package's own")  # fmt: skip
        for engine, results in found.items():
            cells: list[str] = []
            for sets in ("accepted", "kept"):
                theirs, ours = ([getattr(s, sets) for s in found[e]] for e in (oracle, engine))
                cells += [_spread([float(len(s)) for s in ours], 0), *_agreement(theirs, ours, engine == oracle)]
            cpu = statistics.median(s.cpu for s in results)
            row(engine, _spread([s.cpu for s in results], 1),
                f"{cpu / statistics.median(s.cpu for s in found[oracle]):.2f}", *cells)  # fmt: skip


def truth_table(options: Options) -> None:
    """Simulated platform, churn: features of which a column was kept, mean over seeds.

    The package gets all windows, as its users would run it. tschurn runs as the product does, with shadows
    permuted between users.
    """
    data = opened(FOUNDING, options.folder)
    role = _roles(data.features)
    found = {f"{engine}, by column, rows permuted": r for engine, r in in_turn("founding", options).items()}
    for title, by_feature in (("by feature, as the product does", True), ("by column", False)):
        seeds = range(options.seeds)
        found[f"{OURS_DEFAULT}, {title}"] = [run(OURS_DEFAULT, data, seed, by_feature=by_feature) for seed in seeds]
    head("engine", *(f"{text} (of {sum(r == name for r in role.values())})" for name, text in ROLES.items()),
         f"features in all (of {len(role)})", "CPU s")  # fmt: skip
    feature = dict(zip(data.columns, data.features, strict=True))
    for engine, results in found.items():
        kept = [{feature[c] for c in s.kept} for s in results]
        each = [[sum(role[f] == name for f in k) for k in kept] for name in ROLES]
        row(engine, *(f"{np.mean(n):.2f}" for n in each), f"{np.mean([len(k) for k in kept]):.1f}",
            _spread([s.cpu for s in results], 1))  # fmt: skip


def product_table(options: Options) -> None:
    """The selection as the default experiment runs it, by features, and the same by columns; one thread."""
    head("target", "windows × columns", "by", "CPU s", "wall s", "kept features", "kept columns",
         "Jaccard of kept features between seeds")  # fmt: skip
    for target in ("churn", "sticker"):
        data = opened(REAL, options.folder, target)
        feature = dict(zip(data.columns, data.features, strict=True))
        for by_feature in (True, False):
            seeds = range(2 if options.quick else 3)
            results = [run(OURS_DEFAULT, data, seed, by_feature=by_feature) for seed in seeds]
            kept = [frozenset(feature[c] for c in s.kept) for s in results]
            row(target, f"{len(data.y):,} × {len(data.columns)}",
                f"{len(set(data.features))} features" if by_feature else "columns",
                *(_spread([getattr(s, what) for s in results], 1) for what in ("cpu", "wall")),
                _spread([float(len(k)) for k in kept], 0), _spread([float(len(s.kept)) for s in results], 0),
                f"{np.mean([_jaccard(a, b) for a, b in itertools.combinations(kept, 2)]):.2f}")  # fmt: skip


def _roles(features: Sequence[str]) -> dict[str, str]:
    """Features by name → the role of their channel."""
    known = {f"{c.side}:{c.event}:": c.role for c in CHANNELS}
    return {f: next((r for start, r in known.items() if f.startswith(start)), "plain") for f in features}


def _agreement(theirs: Sequence[frozenset[str]], ours: Sequence[frozenset[str]], same: bool) -> tuple[str, str]:
    """Sets by seed → mean Jaccard with its interval, and its difference from the package's own, with its interval."""
    count = len(theirs)
    own = np.array([[_jaccard(a, b) for b in theirs] for a in theirs])
    cross = np.array([[_jaccard(a, b) for b in ours] for a in theirs])
    rng = np.random.default_rng(0)
    draws = []
    for _ in range(REPLICATES):
        i, j = rng.integers(count, size=(2, count))
        different = i[:, None] != i[None, :]  # a seed agrees with itself: no pair
        if different.any():
            within = own[np.ix_(i, i)][different].mean()
            draws.append((within if same else cross[np.ix_(i, j)].mean(), within))
    values, within = np.array(draws).T
    middle = own[~np.eye(count, dtype=bool)].mean()
    mean = middle if same else cross.mean()
    cell = f"{mean:.2f} ({_interval(values)})"
    return cell, "" if same else f"{mean - middle:+.2f} ({_interval(values - within, '+')})"


def _interval(values: np.ndarray, sign: str = "") -> str:
    low, high = np.quantile(values, [0.025, 0.975])
    return f"{low:{sign}.2f} to {high:{sign}.2f}"


def _jaccard(one: frozenset[str], other: frozenset[str]) -> float:
    return len(one & other) / len(one | other) if one | other else 1.0


def _spread(values: Sequence[float], digits: int) -> str:
    """Median (least–most)."""
    least, middle, most = (f"{v:,.{digits}f}" for v in (min(values), statistics.median(values), max(values)))
    return middle if least == most else f"{middle} ({least}–{most})"


TABLES = {"trial": trial_table, "agreement": agreement_table, "truth": truth_table, "product": product_table}


def main(tables: Sequence[str], options: Options) -> None:
    """Print the tables asked for."""
    versions = [f"{package} {version(package)}" for package in ("lightgbm", "shap", "BorutaShap")]
    print(f"Python {platform.python_version()}, {', '.join(versions)}; {os.cpu_count()} cores, one used.")
    for name in tables:
        print(f"\n### {TABLES[name].__doc__}\n")
        with threadpool_limits(1):
            TABLES[name](options)
        sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Compare Boruta-SHAP with the package BorutaShap.")
    parser.add_argument("--quick", action="store_true", help="few rows, two seeds: to try it out")
    parser.add_argument("--seeds", type=int, default=4, help="4 seeds make 6 pairs of the package with itself")
    parser.add_argument("--full", action="store_true", help="at the founding size, full mode too: 7 minutes a seed")
    parser.add_argument("--table", action="append", default=[], choices=TABLES)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "tschurn-benchmarks",
                        help="where the windows are kept from one run to the next")  # fmt: skip
    given = vars(parser.parse_args())
    main(given.pop("table") or list(TABLES), Options(**given | ({"seeds": 2} if given["quick"] else {})))
