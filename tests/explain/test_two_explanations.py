"""Two explanations side by side."""

from __future__ import annotations

import pandas as pd
import pytest

from tschurn.explain.two_explanations import SHOWN, two_explanations

FLAT = pd.DataFrame({"column": ["x@0", "x@-1", "y", "z"], "feature": ["x", "x", "y", "z"]})


def side(importance: dict[str, float], direction: dict[str, tuple[float, float]], accepted: list[str]) -> dict:
    ranked = sorted(importance, key=lambda k: -importance[k])
    rows = pd.DataFrame(
        [{"column": k, "importance": importance[k], "rank": i, "direction": 0.5,
          "direction_low": direction.get(k, (-1.0, 1.0))[0], "direction_high": direction.get(k, (-1.0, 1.0))[1]}
         for i, k in enumerate(ranked, 1)],
        columns=["column", "importance", "rank", "direction", "direction_low", "direction_high"],
    )  # fmt: skip
    selection = pd.DataFrame({"column": [*accepted, "never"], "decision": ["accepted"] * len(accepted) + ["rejected"]})
    return {"importance": rows, "selection": selection, "flat_columns": FLAT}


A = side({"x@0": 2, "x@-1": 2, "y": 3, "z": 1}, {"y": (0.2, 0.9), "x@0": (0.1, 0.3)}, ["x@0", "y"])
B = side({"x@0": 1, "y": 4, "new": 5}, {"y": (-0.9, -0.1), "x@0": (-0.1, 0.3)}, ["x@0", "new"])


def test_shares_are_summed_over_a_features_columns() -> None:
    rows = {row["feature"]: row for row in two_explanations(A, B)["shown"]}
    assert rows["x"]["share_a"] == pytest.approx(4 / 8) and rows["x"]["share_b"] == pytest.approx(0.1)
    assert rows["z"]["share_b"] == 0 and rows["new"]["share_a"] == 0
    assert (rows["x"]["rank_a"], rows["y"]["rank_a"], rows["new"]["rank_b"]) == (1, 2, 1)
    assert list(rows) == ["new", "y", "x", "z"]


def test_turned_round_needs_two_sure_directions() -> None:
    found = two_explanations(A, B)
    assert found["turned"] == ["y"]  # x is sure in one of them only


def test_entered_left_and_the_first_ones() -> None:
    found = two_explanations(A, B)
    assert (found["entered"], found["left"]) == (["new"], ["y"])
    assert (found["top"], found["top_both"]) == (3, 2)
    assert found["features"] == {"a": 3, "b": 3, "both": 2}


def test_nothing_explained_is_none_and_many_features_are_cut() -> None:
    assert two_explanations(A, side({}, {}, [])) is None
    assert two_explanations(side({"x@0": 0.0}, {}, []), B) is None
    many = side({f"f{i}": i + 1.0 for i in range(40)}, {}, [])
    assert [row["feature"] for row in two_explanations(many, many)["shown"]] == [
        f"f{i}" for i in range(39, 39 - SHOWN, -1)
    ]
