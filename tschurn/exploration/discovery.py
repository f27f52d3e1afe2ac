"""Steps of cases → a process tree that tells them in short, by pm4py, an optional extra (AGPL).

Inductive miner, infrequent (Leemans, Fahland and van der Aalst 2014, "Discovering Block-Structured Process Models from
Event Logs Containing Infrequent Behaviour"). Fitness and precision are those of token replay.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from tschurn.contracts import PROCESS_MODEL
from tschurn.exploration.cases import user_sample

if TYPE_CHECKING:
    from tschurn.exploration.cases import Cases

MODEL_STEPS = 30_000  # about; of whole users
REPLAYED_STEPS = 1_000  # of some of these users: replay is slow where a tree has many steps that may be skipped
NOISE = 0.2  # what is rarer than this share of the most frequent alternative is left out
NOT_INSTALLED = "not installed: pip install tschurn[process]"
NO_CASES = "no cases"
_KINDS = {"->": "sequence", "X": "choice", "+": "parallel", "*": "loop", "O": "choice"}


@dataclass(frozen=True)
class Model:
    """PROCESS_MODEL, what made it (or why there is none), the steps it was learned from, and how well it tells them."""

    tree: pd.DataFrame
    discovery: str
    steps: int | None = None
    fitness: float | None = None
    precision: float | None = None


def discover(cases: Cases, total_steps: int) -> Model:
    """Cases and the number of all their steps → the model of a sample of the users; none without pm4py."""
    if not total_steps:
        return Model(_frame([]), NO_CASES)
    try:
        import pm4py  # AGPL: an extra
    except ImportError:
        return Model(_frame([]), NOT_INSTALLED)
    steps = sampled_steps(cases, MODEL_STEPS / total_steps)
    if steps.empty:
        return Model(_frame([]), NO_CASES)
    tree = pm4py.discover_process_tree_inductive(as_log(steps), noise_threshold=NOISE)
    fitness, precision = _replayed(sampled_steps(cases, REPLAYED_STEPS / total_steps), tree)
    return Model(_frame(_nodes(tree, 0)), "pm4py", len(steps), fitness, precision)


def _replayed(steps: pd.DataFrame, tree: Any) -> tuple[float | None, float | None]:
    """Steps and a tree of pm4py → fitness and precision of token replay; null where there is nothing to replay."""
    from pm4py import convert_to_petri_net
    from pm4py.algo.evaluation.precision import algorithm as precision
    from pm4py.algo.evaluation.replay_fitness import algorithm as fitness

    if steps.empty:
        return None, None
    log, net, quiet = as_log(steps), convert_to_petri_net(tree), {"show_progress_bar": False}
    fits = fitness.apply(log, *net, parameters=quiet, variant=fitness.Variants.TOKEN_BASED)["log_fitness"]
    precise = precision.apply(log, *net, parameters=quiet, variant=precision.Variants.ETCONFORMANCE_TOKEN)
    return float(fits), float(precise)


def sampled_steps(cases: Cases, share: float) -> pd.DataFrame:
    """Cases → case (0, 1, …), position, step of a share of the users, in order."""
    chosen = user_sample(cases.steps, share).select("user_id", "case", "position", "step")
    frame = chosen.to_pyarrow().to_pandas().sort_values(["user_id", "case", "position"], ignore_index=True)
    case = frame.groupby(["user_id", "case"], sort=True).ngroup()
    return frame.assign(case=case)[["case", "position", "step"]].astype({"step": "str"})


def as_log(steps: pd.DataFrame) -> pd.DataFrame:
    """Steps of cases → pm4py's event log. The position stands for the time: pm4py sorts by it."""
    return pd.DataFrame(
        {
            "case:concept:name": steps["case"].astype("str"),
            "concept:name": steps["step"],
            "time:timestamp": pd.to_datetime(steps["position"], unit="s", utc=True),
        }
    )


def _nodes(tree: Any, depth: int) -> list[tuple[int, str, str | None]]:
    """A tree of pm4py → depth, kind and label of its nodes, top down."""
    if tree.operator is None:
        return [(depth, "skip" if tree.label is None else "step", tree.label)]
    below = [node for child in tree.children for node in _nodes(child, depth + 1)]
    return [(depth, _KINDS[str(tree.operator)], None), *below]


def _frame(nodes: list[tuple[int, str, str | None]]) -> pd.DataFrame:
    frame = pd.DataFrame(nodes, columns=["depth", "kind", "label"]).rename_axis("node").reset_index()
    return frame[list(PROCESS_MODEL.columns)].astype({"node": "int32", "depth": "int32", "kind": "str", "label": "str"})
