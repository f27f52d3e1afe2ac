"""Runs the simulated creator platform at full size and prints how its results stand against the truth.

    python benchmarks/truth.py [--simulation-seed N] [experiment file ...]

With another seed it is another platform under the same laws, in a run folder of its own. The figures are
those of the stage `truth` of each run (see tschurn/simulator/judgement.py); stages that stand in the run
folder and are unchanged are used as they are.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import pandas as pd

from tschurn import config, pipeline

ROOT = Path(__file__).resolve().parent.parent
EXPERIMENTS = [ROOT / "experiments" / f"{name}.toml" for name in ("creator_platform_time", "creator_platform")]


def main(files: list[str], seed: int | None) -> None:
    """Run each experiment file and print its tables; seed: of the simulation, if not the file's own."""
    for file in files or EXPERIMENTS:
        experiment = config.load(file)
        if not experiment.log.simulated:
            sys.exit(f"{file}: its log is not simulated, so there is no truth to mark it by")
        if seed is not None:
            simulation = config.simulation(experiment.simulation.model_dump() | {"seed": seed})
            experiment = experiment.model_copy(update={"simulation": simulation})
        folder = ROOT / "reports" / experiment.experiment.name / ("latest" if seed is None else f"seed {seed}")
        summary = pipeline.run(experiment, folder, _line).summary
        figures = pd.read_parquet(folder / "stages" / "truth" / "truth_figures.parquet")
        seconds = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["seconds"]
        print(f"\n## {experiment.experiment.name}\n")
        print(f"{summary['rows']:,} rows, windows {summary['windows']}; simulated in {seconds['simulation']:.1f} s")
        for target, about in summary["targets"].items():
            explained = summary["explanations"].get(target, [{}])[0].get("model")
            print(f"{target}: used {about.get('used')}, explained {explained}")
        _print(figures)


def _print(figures: pd.DataFrame) -> None:
    with pd.option_context("display.width", 160, "display.max_rows", None, "display.float_format", "{:.3f}".format):
        by_group = figures["figure"].isin(figures.loc[figures["about"] != "", "figure"])
        print("\n" + figures[~by_group].pivot(index="figure", columns="target", values="value").to_string())
        grouped = figures[by_group]
        wide = grouped.assign(text=[_text(row) for row in grouped.itertuples()])
        print("\n" + wide.pivot(index="about", columns="figure", values="text").fillna("").to_string())


def _text(row: object) -> str:
    if pd.isna(row.value):
        return f"- ({row.n})"
    interval = "" if pd.isna(row.low) else f" [{row.low:.2f}, {row.high:.2f}]"
    return f"{row.value:.2f}{interval} ({row.n})"


def _line(stage: str, done: float, total: float, note: str = "") -> None:
    if done >= total:
        print(f"{stage:<16} {note or 'done'}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Mark runs on the simulated platform by its truth.")
    parser.add_argument("files", nargs="*", metavar="FILE")
    parser.add_argument("--simulation-seed", type=int, metavar="N")
    arguments = parser.parse_args()
    main(arguments.files, arguments.simulation_seed)
