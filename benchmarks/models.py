"""Times training, searching and scoring networks, side by side with other ways to do it; prints Markdown.

    python benchmarks/models.py [--quick] [--repeats 3] [--trials 20] [--table NAME ...] [--only ENGINE ...]

The windows are those of the simulated platform by the founding project's protocol (experiments/creator_platform.toml);
scoring takes those with history (creator_platform_time.toml). Every run is a process of its own (models_worker.py)
on its own number of cores; engines take turns, and share a seed in each round. No time is printed unless all trained
networks have as many weights and windows, and all ways to score give the same.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from tables import head, row

from tschurn import config, pipeline
from tschurn.contracts import silent
from tschurn.models.graphs import ARCHITECTURES
from tschurn.runs import Run

EXPERIMENTS = Path(__file__).resolve().parent.parent / "experiments"
LEARNED, SCORED = "creator_platform", "creator_platform_time"
TRAINING = {
    "keras": "Keras's defaults: `model.fit`, batch 32, Adam 1e-3",
    "tschurn": "**tschurn**, Keras on TensorFlow",
    "tschurn_jax": "**tschurn**, Keras on JAX",
    "torch": "PyTorch by hand, tschurn's batch, learning rate and averaging",
}
SEARCH = {
    "keras_tuner": "keras-tuner, plain, the same space",
    "keras_tuner_32": "keras-tuner, plain, batch 32 in all trials",
    "tschurn_one": "**tschurn**, one trial at a time",
    "tschurn_at_once": "**tschurn**, a trial on each core",
}
PLAIN = {"keras_tuner": "plain", "keras_tuner_32": "batch 32"}
TRIAL_EPOCHS = config.Search().trial_epochs
# --quick, which only shows that everything runs
SMALL = {"users": 0.2, "to_reach": 3, "epochs": 12, "trials": 4, "repeats": 1}
SCALINGS = ("log1p_standard", "piecewise")
APART = 1e-3  # log-odds by which ways to score may differ: float32, summed in another order
Results = list[dict[str, Any]]


@dataclass
class Bench:
    """The options, where windows lie, and what could not run here."""

    arguments: argparse.Namespace
    scratch: Path
    runs: int = 0
    missing: dict[str, str] = field(default_factory=dict)

    def run(self, engine: str, name: str, threads: int, seed: int, **task: Any) -> dict[str, Any] | None:
        """One task in a fresh process → what models_worker.py says; None if it could not run here."""
        if engine in self.missing:
            return None
        self.runs += 1
        folder = self.scratch / f"run {self.runs}"
        folder.mkdir()
        task |= {
            "engine": engine, "threads": threads, "seed": seed, "folder": str(folder),
            "stage": str(prepared(name, self.arguments.folder)), "experiment": str(EXPERIMENTS / f"{name}.toml"),
            "users": self.arguments.users,
        }  # fmt: skip
        backend = "jax" if engine.endswith("jax") else "tensorflow"
        settings = {"KERAS_BACKEND": backend, "JAX_PLATFORMS": "cpu", "CUDA_VISIBLE_DEVICES": "-1",
                    "TF_CPP_MIN_LOG_LEVEL": "2", "OMP_NUM_THREADS": str(threads)}  # fmt: skip
        done = subprocess.run(
            [sys.executable, str(Path(__file__).with_name("models_worker.py")), json.dumps(task)],
            env=os.environ | settings, capture_output=True, text=True,
        )  # fmt: skip
        if done.returncode:
            sys.exit(f"{engine} ended with {done.returncode}:\n{done.stderr[-2000:]}")
        result = json.loads(done.stdout.splitlines()[-1])
        if "missing" in result:
            self.missing[engine] = f"not installed ({result['missing']})"
            return None
        last = f"{result['looks'][-1]}" if "looks" in result else f"{result['per_second']:,.0f} windows/s"
        print(f"{task['work']:<9} {task['architecture']:<10} {engine:<16} {last}", file=sys.stderr, flush=True)
        return result

    def turns(self, engines: Sequence[str], work: str, threads: int, **task: Any) -> dict[str, Results]:
        """All engines in turn, round by round, each round with a seed of its own and another one first."""
        wanted = [e for e in engines if not self.arguments.only or e in self.arguments.only or e == engines[0]]
        found: dict[str, Results] = {engine: [] for engine in wanted}
        for k in range(self.arguments.repeats):
            for engine in [*wanted[k % len(wanted) :], *wanted[: k % len(wanted)]]:
                of_one = {"epochs": self.arguments.to_reach} if engine == "keras" else {}
                if result := self.run(engine, LEARNED, threads, k + 1, work=work, **task | of_one):
                    found[engine].append(result)
        first = found[engines[0]][0]
        for engine, results in found.items():
            for name in ("windows", "held", "weights"):
                if any(r.get(name) != first.get(name) for r in results):
                    sys.exit(f"{engine}: {name} differ from those of {engines[0]}")
        return found


@cache
def prepared(name: str, folder: Path) -> Path:
    """An experiment's name → its finished stage `windows`; what stands in `folder` and is unchanged is used."""
    with Run(folder / name) as kept:
        stages = pipeline._Stages(config.load(EXPERIMENTS / f"{name}.toml"), kept, silent)
        stages.simulation()
        stages.log([])
        stages.windows()
        return stages.done["windows"].path


# --- tables ---------------------------------------------------------------------------------------
def training_table(bench: Bench) -> None:
    """Training, one core: time until the validation AP that Keras's defaults reach within ten epochs."""
    for architecture in ("gru", "gru_bilstm"):
        epochs = bench.arguments.epochs
        found = bench.turns(list(TRAINING), "training", 1, architecture=architecture, epochs=epochs)
        aims = [_best(r) for r in found["keras"]]
        one = found["keras"][0]
        print(f"\n`{architecture}`, {one['windows']:,} windows, {one['held']:,} to judge by, {one['weights']:,} "
              f"weights; AP to reach: {', '.join(f'{aim[2]:.4f}' for aim in aims)}.\n")  # fmt: skip
        head("engine", "wall s to it", "CPU s to it", "wall ÷ defaults", "CPU ÷ defaults", "first epoch s",
              "a further epoch s", "best AP", "reached")  # fmt: skip
        for engine, runs in found.items():
            if not runs:
                row(TRAINING[engine], bench.missing[engine], *[""] * 7)
                continue
            reached = [_reached(r["looks"], aim[2]) for r, aim in zip(runs, aims, strict=True)]
            steps = [b[0] - a[0] for r in runs for a, b in zip(r["looks"], r["looks"][1:], strict=False)]
            row(
                TRAINING[engine], *(_spread([at[i] for at in reached]) for i in (0, 1)),
                *(_spread([at[i] / aim[i] for at, aim in zip(reached, aims, strict=True)]) for i in (0, 1)),
                _spread([r["looks"][0][0] for r in runs]), f"{statistics.median(steps or [math.inf]):.2f}",
                _spread([_best(r)[2] for r in runs], 4),
                f"{sum(at[0] < math.inf for at in reached)} of {len(runs)}",
            )  # fmt: skip


def search_table(bench: Bench) -> None:
    """Search, two cores: trials of a GRU, wall clock for the same best AP."""
    task = {"architecture": "gru", "trials": bench.arguments.trials, "epochs": TRIAL_EPOCHS}
    found = bench.turns(list(SEARCH), "search", bench.arguments.threads, **task)
    one = found["keras_tuner"][0]
    print(f"\n{task['trials']} trials of {TRIAL_EPOCHS} epochs on {one['windows']:,} windows.\n")
    plain = [engine for engine in PLAIN if found.get(engine)]
    aims = [name for e in plain for name in (f"s to the best AP of {PLAIN[e]}", "÷ its s to it")]
    head("engine", "wall s", "CPU s", "wall ÷ plain", "best AP", *aims, "n")
    for engine, runs in found.items():
        pairs = {e: [_same_ap(*pair) for pair in zip(runs, found[e], strict=True)] for e in plain}
        row(
            SEARCH[engine], *(_spread([r[name] for r in runs]) for name in ("wall", "cpu")),
            _spread([r["wall"] / p["wall"] for r, p in zip(runs, found["keras_tuner"], strict=True)]),
            _spread([_best(r)[2] for r in runs], 4),
            *(_spread(values) for e in plain for values in zip(*pairs[e], strict=True)), len(runs),
        )  # fmt: skip


def scoring_table(bench: Bench) -> None:
    """Scoring, two cores, reading and scaling included: in bulk, and one user at a time."""
    lines: list[tuple[str, str, Results]] = []
    for architecture in ARCHITECTURES:
        for scaling in SCALINGS:
            task = {"work": "scoring", "epochs": 1, "architecture": architecture, "scaling": scaling}
            runs = [
                bench.run("tschurn", SCORED, bench.arguments.threads, k + 1, **task)
                for k in range(bench.arguments.repeats)
            ]
            for r in runs:
                if max(r["apart"], r.get("predict_apart", 0.0)) > APART:
                    sys.exit(f"{architecture}, {scaling}: the ways to score are {r['apart']} apart in log-odds")
            lines.append((architecture, scaling, runs))
    print(f"\n{lines[0][2][0]['windows']:,} windows with history.\n")
    head("network", "scaling", "windows/s", "`predict`, 4,096", "`predict`, 32", "one user, ms", "95 % within",
          "`predict` of one, ms", "loading ms", "first time in bulk s", "n")  # fmt: skip
    for architecture, scaling, runs in lines:
        in_bulk, keras = (
            [_spread([r[n] for r in runs], 0) if n in runs[0] else "–" for n in names]
            for names in (("per_second", "predict_block", "predict_32"), ("predict_one",))
        )
        one = [_spread([r[n] for r in runs]) for n in ("one", "one_95")]
        load, first = _spread([1000 * r["load"] for r in runs], 0), _spread([r["first"] for r in runs])
        row(architecture, scaling, *in_bulk, *one, *keras, load, first, len(runs))


def _same_ap(ours: dict[str, Any], theirs: dict[str, Any]) -> tuple[float, float]:
    """→ seconds until our looks have the best AP of theirs, and that over their seconds until it."""
    wall, _, aim = _best(theirs)
    reached, _ = _reached(ours["looks"], aim)
    return reached, reached / wall


def _best(result: dict[str, Any]) -> list[float]:
    """→ the first look with the best AP."""
    return max(result["looks"], key=lambda look: look[2])


def _reached(looks: list[list[float]], aim: float) -> tuple[float, float]:
    """→ wall and CPU seconds until the first look with this AP; infinite if there was none."""
    return next(((wall, cpu) for wall, cpu, ap in looks if ap >= aim), (math.inf, math.inf))


def _spread(values: Sequence[float], digits: int = 2) -> str:
    """Median (least–most)."""
    least, middle, most = (
        "never" if math.isinf(v) else f"{v:,.{digits}f}" for v in (min(values), statistics.median(values), max(values))
    )
    return middle if least == most else f"{middle} ({least}–{most})"


TABLES = {"training": training_table, "search": search_table, "scoring": scoring_table}


def main(arguments: argparse.Namespace) -> None:
    """Print the tables asked for."""
    print(f"Python {platform.python_version()}, {', '.join(map(_version, ('tensorflow', 'keras', 'jax', 'torch')))}; "
          f"{os.cpu_count()} cores.")  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(arguments, Path(scratch))
        for name in arguments.table or TABLES:
            print(f"\n### {TABLES[name].__doc__}")
            TABLES[name](bench)
            sys.stdout.flush()


def _version(package: str) -> str:
    try:
        return f"{package} {version(package)}"
    except PackageNotFoundError:
        return f"no {package}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Time training, searching and scoring against other ways.")
    parser.add_argument("--quick", action="store_true", help="small and once: to try it out")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--epochs", type=int, default=30, help="of training at most, but for Keras's defaults")
    parser.add_argument("--trials", type=int, default=20)
    parser.add_argument("--threads", type=int, default=2, help="cores for searching and scoring; training has one")
    parser.add_argument("--only", action="append", default=[], choices=[*TRAINING, *SEARCH])
    parser.add_argument("--table", action="append", default=[], choices=TABLES)
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()) / "tschurn-benchmarks",
                        help="where the windows are kept from one run to the next")  # fmt: skip
    parser.set_defaults(users=1.0, to_reach=10)
    given = parser.parse_args()
    main(argparse.Namespace(**vars(given) | (SMALL if given.quick else {})))
