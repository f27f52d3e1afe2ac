"""training and validation windows → which scaling suits which architecture, under several seeds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from tschurn.contracts import Windows
from tschurn.models.graphs import Hyperparameters
from tschurn.models.networks import make_network
from tschurn.models.scaling import SCALINGS
from tschurn.models.search import trial_seed
from tschurn.models.tuning import Report, Rows, kept, scores

Cell = tuple[str, str]  # architecture, scaling
_THIRD = 3


def experiment(
    windows: Windows, train: Rows, validation: Rows, targets: Mapping[str, tuple[str, ...]], *,
    seed: int, seeds: int, epochs: int, folder: Path, done: Report,
) -> list[dict[str, Any]]:  # fmt: skip
    """Scalings × architectures, default hyperparameters → EXPERIMENTS rows without target.

    By successive halving (Jamieson and Talwalkar 2016): every cell once, the best third again under another
    seed, and so on, `seeds` times. The cell with the best mean AP among those fitted most often is `chosen`.
    targets: of each architecture, as of the networks. folder: keeps finished fits of a run that was interrupted.
    """
    cells = cells_of(windows, targets)
    rows: list[dict[str, Any]] = []
    for own in (trial_seed(seed, 12, repeat) for repeat in range(seeds)):
        for architecture, scaling in cells:

            def fit(architecture: str = architecture, scaling: str = scaling, own: int = own) -> dict[str, Any]:
                start = Hyperparameters(architecture, scaling)
                network = make_network(architecture, start, own, epochs, targets[architecture])
                network.fit(windows, *train, validation)
                found = scores(validation[1], network.log_odds(windows, validation[0]))
                return {"scaling": scaling, "architecture": architecture, "seed": own, **found,
                        "epochs": network.epochs}  # fmt: skip

            rows.append(kept(folder / f"{architecture}-{scaling}-{own}.json", fit))
            done(f"{architecture}, {scaling}: AP {rows[-1]['ap']:.3f}")
        better = set(ranked(rows)[: -(-len(cells) // _THIRD)])
        cells = [cell for cell in cells if cell in better]  # in their order: a graph serves neighbours
    chosen = ranked(rows)[0]
    return [row | {"chosen": (row["architecture"], row["scaling"]) == chosen} for row in rows]


def cells_of(windows: Windows, architectures: Iterable[str]) -> list[Cell]:
    """→ the pairs that are worth a fit: no piecewise history where there is none, and whole lives, which hold the
    counts of every day, only under the scalings that tame counts."""
    has_history = (windows.features["kind"] == "history").any()

    def suits(architecture: str, scaling: str) -> bool:
        if architecture == "causal_gru":
            return scaling in ("log1p_standard", "piecewise")
        return has_history or scaling != "piecewise"

    return [(a, s) for a in architectures for s in SCALINGS if suits(a, s)]


def ranked(rows: Sequence[dict[str, Any]]) -> list[Cell]:
    """EXPERIMENTS rows → the cells, the best first: those fitted most often, and of them by mean AP."""
    found: dict[Cell, list[float]] = {}
    for row in rows:
        found.setdefault((row["architecture"], row["scaling"]), []).append(row["ap"])
    return sorted(found, key=lambda cell: (-len(found[cell]), -np.mean(found[cell])))


def best_scalings(rows: Sequence[dict[str, Any]]) -> dict[str, str]:
    """EXPERIMENTS rows → the best scaling of each architecture."""
    return dict(reversed(ranked(rows)))


def fits(cells: int, seeds: int) -> int:
    """How many networks the experiment fits, of so many cells."""
    total = 0
    for _ in range(seeds):
        total, cells = total + cells, -(-cells // _THIRD)
    return total
