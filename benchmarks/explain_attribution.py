"""What each day and each act adds to a network's answer: side by side with TimeSHAP and KernelSHAP; prints Markdown.

    python benchmarks/explain_attribution.py [--quick] [--windows 400] [--repeats 3] [--folder FOLDER]

One thread, one process; engines take turns, and times are CPU seconds of this process. Networks have 64 units and
were trained for an epoch. TimeSHAP is timed where it is installed; it is made for another shap than today's, so a
name is lent to it, and its plots, which need more packages, are left out. No time is printed unless the values agree.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import os
import platform
import statistics
import sys
import tempfile
import time
import types
from collections.abc import Callable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy is there

import numpy as np
from models import prepared
from tables import head, row
from threadpoolctl import threadpool_limits

from tschurn import config, workers
from tschurn.explain import attribution as a
from tschurn.explain import shapley
from tschurn.features.windows import WindowSet
from tschurn.models.forward import forward, use_threads
from tschurn.models.graphs import Hyperparameters
from tschurn.models.networks import Network, make_network, masked, prepare_networks
from tschurn.runs import StageFolder

EXPERIMENTS = Path(__file__).resolve().parent.parent / "experiments"
DAYS, LIVES = "creator_platform", "creator_platform_time"  # 7 days alone, and with history
FEW = 30  # windows for those that take them one by one
SEEDS = 8  # by which the standard error of sampled values is measured
SAME = 1e-3  # log-odds by which values of the same game may differ: float32


def main() -> None:
    """Print the three tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="only show that everything runs")
    parser.add_argument("--windows", type=int, default=400)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--folder", type=Path, help="where windows are kept from one run to the next")
    options = parser.parse_args()
    if options.quick:
        options.windows, options.repeats = 40, 1
    prepare_networks(1)
    use_threads(1)
    with threadpool_limits(1), tempfile.TemporaryDirectory() as scratch:
        folder = options.folder or Path(scratch)
        print(f"{platform.processor() or platform.machine()}, Python {platform.python_version()}, "
              f"NumPy {np.__version__}, shap {version('shap')}\n")  # fmt: skip
        days(opened(DAYS, folder), options)
        lives(opened(LIVES, folder), options)
        cells(opened(LIVES, folder), options)


def opened(name: str, folder: Path) -> WindowSet:
    """The windows of an experiment."""
    return workers.open_windows(StageFolder(prepared(name, folder)), config.load(EXPERIMENTS / f"{name}.toml"))


def trained(windows: WindowSet, architecture: str, scaling: str) -> Network:
    """A network after one epoch."""
    network = make_network(architecture, Hyperparameters(architecture, scaling, units=64), 1, 1, ("churn",))
    rows = windows.rows("train")
    network.fit(windows, rows, windows.index["churned"].to_numpy(np.float64, na_value=0)[rows])
    return network


def predict_of(network: Network) -> a.Predict:
    return lambda windows: network.log_odds(windows, np.arange(len(windows.index)))


def timed(work: Callable[[], object]) -> float:
    """CPU seconds."""
    before = time.process_time()
    work()
    return time.process_time() - before


def days(windows: WindowSet, options: argparse.Namespace) -> None:
    """Exact values of the seven days, the same game for all: background, one real window."""
    kernel = timeshap()
    print("Exact Shapley values of 7 days, CPU ms a window "
          f"({options.windows} windows; the others {min(FEW, options.windows)})\n")  # fmt: skip
    head("network", "TimeSHAP", "plain NumPy, one by one", "**tschurn**", "TimeSHAP / tschurn", "largest difference")
    random = np.random.default_rng(0)
    rows, other = random.choice(windows.rows("test"), options.windows), random.choice(windows.rows("train"), 1)
    for architecture in ("gru", "bilstm", "gru_bilstm"):
        game = Days(windows, trained(windows, architecture, "log1p_standard"), rows, other)
        engines = {"ours": (game.ours, len(rows)), "plain": (game.plain, len(game.few))}
        if kernel:
            engines["timeshap"] = (lambda game=game: game.timeshap(kernel), len(game.few))
        found = {name: work() for name, (work, _) in engines.items()}
        apart = max(np.abs(found["ours"][: len(game.few)] - values).max() for n, values in found.items() if n != "ours")
        if apart > SAME:
            sys.exit(f"{architecture}: values differ by {apart}")
        times = {name: [] for name in engines}
        for _ in range(options.repeats):
            for name, (work, n) in engines.items():
                times[name].append(1e3 * timed(work) / n)
        middle = {name: statistics.median(values) for name, values in times.items()}
        there = "timeshap" in middle
        row(
            architecture, f"{middle['timeshap']:.1f}" if there else "not installed", f"{middle['plain']:.1f}",
            f"{middle['ours']:.2f}", f"{middle['timeshap'] / middle['ours']:.1f}×" if there else "–", f"{apart:.0e}",
        )  # fmt: skip
    print()


class Days:
    """The game of seven days for some windows, played by each engine → values [windows × 7]."""

    def __init__(self, windows: WindowSet, network: Network, rows: np.ndarray, other: np.ndarray) -> None:
        self.windows, self.network, self.rows, self.other = windows, network, rows, other
        self.few = rows[:FEW]
        self.groups = windows.groups()

    def ours(self) -> np.ndarray:
        taken = np.concatenate([np.full((128, 1), -1), np.where(shapley.coalitions(7), -1, 0)], axis=1)
        worth = a.worth(self.windows, self.groups, predict_of(self.network), self.rows, self.other, taken)
        return shapley.exact(worth[:, 0])

    def plain(self) -> np.ndarray:
        asked, background = shapley.coalitions(7)[:, :, None], self.raw(self.other)[0]
        return shapley.exact(np.stack([self.model(np.where(asked, r, background))[:, 0] for r in self.raw(self.few)]))

    def timeshap(self, kernel: type) -> np.ndarray:
        background = self.raw(self.other)
        return np.stack(
            [
                np.ravel(
                    kernel(self.model, background, 0, "event").shap_values(r[None], pruning_idx=0, nsamples=32_000)
                )
                for r in self.raw(self.few)
            ]
        )[:, ::-1]  # it names the last day first

    def raw(self, rows: np.ndarray) -> np.ndarray:
        """Days as they are, and the mask."""
        mask = masked(self.windows, rows, self.network._daily)[:, :, -1:]
        return np.concatenate([self.windows.batch(rows), mask], axis=2)

    def model(self, raw: np.ndarray) -> np.ndarray:
        """Raw days → log-odds [n × 1]."""
        inputs = np.concatenate([self.network._daily(raw[:, :, :-1]), raw[:, :, -1:]], axis=2).astype(np.float32)
        return forward(self.network.hyperparameters.architecture, self.network._weights, inputs)


def lives(windows: WindowSet, options: argparse.Namespace) -> None:
    """Exact values of what came before and seven days, every input computed anew; one real window as background."""
    print(f"What came before and 7 days (256 coalitions), with history, CPU ms a window ({options.windows} windows)\n")
    head("network", "scaling", "as if windows shared nothing", "**tschurn**", "adds up to within")
    random = np.random.default_rng(0)
    rows, other = random.choice(windows.rows("test"), options.windows), random.choice(windows.rows("train"), 1)
    some, players, groups = rows[: max(4, options.windows // 20)], a.day_players(7), windows.groups()
    for architecture, scaling in (("gru", "log1p_standard"), ("gru", "piecewise"), ("bilstm", "log1p_standard"),
                                  ("gru_bilstm", "log1p_standard"), ("causal_gru", "log1p_standard")):  # fmt: skip
        shared = predict_of(trained(windows, architecture, scaling))
        times, gap = {}, 0.0
        for name, predict, at in (
            ("alone", lambda mixed, shared=shared: shared(Alone(mixed)), some),
            ("shared", shared, rows),
        ):
            seconds = []
            for _ in range(options.repeats):
                before = time.process_time()
                gap = a.attribute(windows, groups, predict, lambda x: x, at, other, players).gap
                seconds.append(time.process_time() - before)
            times[name] = 1e3 * statistics.median(seconds) / len(at)
        row(architecture, scaling, f"{times['alone']:.1f}", f"{times['shared']:.2f}", f"{gap:.0e}")
    print()


class Alone:
    """Mixed windows that do not tell what they have in common."""

    def __init__(self, mixed: object) -> None:
        self.index, self.features, self.lives = mixed.index, mixed.features, mixed.lives
        self.batch, self.history, self.days, self.flat = mixed.batch, mixed.history, mixed.days, mixed.flat


def cells(windows: WindowSet, options: argparse.Namespace) -> None:
    """Groups on days, sampled: what a standard error costs, through the same network."""
    random = np.random.default_rng(1)
    rows = random.choice(windows.rows("test"), 4 if options.quick else 12)
    other, groups = random.choice(windows.rows("train"), 1), windows.groups(most=8)
    players = a.cell_players(groups.table["group"].tolist(), 7)
    given = windows, groups, predict_of(trained(windows, "gru", "log1p_standard"))
    print(f"{len(players)} players ({len(groups)} groups on 7 days, and what came before), sampled, GRU with history: "
          f"means over {len(rows)} windows\n")  # fmt: skip
    head("", "answers of the network", "standard error", "CPU s a window", "CPU s to the error of 32 pairs")

    def ours(seed: int, pairs: int) -> np.ndarray:
        return a.attribute_sampled(*given, lambda x: x, rows, other, players, pairs=pairs, seed=seed).log_odds

    def theirs(seed: int, samples: int) -> np.ndarray:
        np.random.seed(seed)
        return np.stack([_kernelshap(given, one, other, players, samples) for one in rows])

    engines = [(f"**tschurn**, {n} pairs", ours, n, 2 * n * (len(players) - 1) + 2) for n in (16, 32, 64)]
    engines += [(f"KernelSHAP, {n:,} samples", theirs, n, n) for n in (2_000, 4_000)]
    found = {}
    for name, engine, size, asked in engines:
        before = time.process_time()
        values = np.stack([engine(seed, size) for seed in range(2 if options.quick else SEEDS)])
        seconds = (time.process_time() - before) / len(values) / len(rows)
        found[name] = asked, float(np.sqrt(values.var(axis=0, ddof=1).mean())), seconds
    wanted = found["**tschurn**, 32 pairs"][1]
    for name, (asked, error, seconds) in found.items():
        row(name, f"{asked:,}", f"{error:.5f}", f"{seconds:.2f}", f"{seconds * (error / wanted) ** 2:.2f}")


def _kernelshap(
    given: tuple[WindowSet, object, a.Predict], one: int, other: np.ndarray, players: a.Players, samples: int
) -> np.ndarray:
    import shap

    def game(asked: np.ndarray) -> np.ndarray:
        return a.worth(*given, np.array([one]), other, players.taken(asked.astype(bool)))[0, 0]

    explainer = shap.KernelExplainer(game, np.zeros((1, len(players))))
    return explainer.shap_values(np.ones((1, len(players))), nsamples=samples, l1_reg=0, silent=True)[0]


def timeshap() -> type | None:
    """TimeSHAP's kernel, None where it is not installed."""
    try:
        version("timeshap")
    except PackageNotFoundError:
        return None
    import shap.explainers._kernel as kernels

    kernels.Kernel = kernels.KernelExplainer  # as it was called until shap 0.42
    places = importlib.util.find_spec("timeshap").submodule_search_locations
    for name in ("timeshap", "timeshap.explainer", "timeshap.utils"):  # without what only draws
        module = types.ModuleType(name)
        module.__path__ = [str(Path(place, *name.split(".")[1:])) for place in places]
        sys.modules[name] = module
    return importlib.import_module("timeshap.explainer.kernel").TimeShapKernel


if __name__ == "__main__":
    main()
