"""LightGBM's text of a model → the same, if it is one that LightGBM can be given.

LightGBM believes what it reads: of a text that is cut off or changed it ends the process, or reads memory that is not
its own (4.7.0: SIGABRT, SIGSEGV). So the trees are looked at here first: each must be a tree, of numbers, as long as
the text says. What comes after the trees (parameters, importances) is of no use for predicting and is left out.
"""

from __future__ import annotations

import re

import numpy as np

_HEAD = {"version", "num_class", "num_tree_per_iteration", "label_index", "max_feature_idx", "objective",
         "feature_names", "feature_infos", "tree_sizes"}  # fmt: skip
_EXPECTED = {"version": "v4", "num_class": "1", "num_tree_per_iteration": "1", "label_index": "0"}
_NODES = ("split_feature", "split_gain", "threshold", "decision_type", "left_child", "right_child",
          "internal_value", "internal_weight", "internal_count")  # fmt: skip
_LEAVES = ("leaf_value", "leaf_weight", "leaf_count")
_FIXED = {"num_cat": "0", "is_linear": "0"}
_INTEGERS = re.compile(r"-?\d{1,9}(?: -?\d{1,9})*")
_NUMBER = r"-?(?:\d[\d.]*(?:e[-+]?\d+)?|inf|nan)"
_NUMBERS = re.compile(f"{_NUMBER}(?: {_NUMBER})*")
_UNBOUNDED = {"split_gain", "threshold"}  # a split may leave nothing to be told, or set apart the missing alone
_END = "end of trees\n"
_CATEGORICAL = 1  # a bit of decision_type
_MOST_LEAVES, _DEEPEST = 65_536, 1024  # TreeSHAP goes down a tree by calling itself
_MOST_FEATURES = 1_000_000


def checked(text: str) -> str:
    """The text of a model with one output → the part of it that predicts. Raises ValueError where it is none."""
    if not text.isascii():
        raise ValueError("holds other letters than LightGBM writes")
    head, _, rest = text.partition("\n\n")
    first, *lines = head.split("\n")
    values = _pairs(lines)
    if first != "tree" or values.keys() != _HEAD or _EXPECTED.items() - values.items():
        raise ValueError("has another head than LightGBM writes")
    features = int(_integers(values["max_feature_idx"], 1)[0]) + 1
    if not 1 <= features <= _MOST_FEATURES:
        raise ValueError(f"has {features} features")
    if any(len(values[name].split(" ")) != features for name in ("feature_names", "feature_infos")):
        raise ValueError(f"does not name its {features} features")
    at = 0
    for number, size in enumerate(_integers(values["tree_sizes"])):
        _refuse_if_no_tree(rest[at : at + max(size, 0)], int(size), number, features)
        at += int(size)
    if not rest[at:].startswith(_END):
        raise ValueError("has other trees than its head says")
    return text[: len(text) - len(rest) + at] + _END


def _refuse_if_no_tree(text: str, size: int, number: int, features: int) -> None:
    title, _, body = text.partition("\n")
    if title != f"Tree={number}" or len(text) != size or not body.endswith("\n\n\n"):
        raise ValueError(f"is cut off or changed at tree {number}")
    values = _pairs(body[:-3].split("\n"))
    try:
        leaves = int(_integers(values.pop("num_leaves"), 1)[0])
        _number_of(values.pop("shrinkage"), 1)
        fixed = {name: values.pop(name) for name in _FIXED}
    except KeyError as error:
        raise ValueError(f"tree {number} has no {error}") from None
    if fixed != _FIXED or not 1 <= leaves <= _MOST_LEAVES:
        raise ValueError(f"tree {number} has {leaves} leaves, or is of another kind than ours")
    if leaves == 1 and values.keys() <= {*_NODES, *_LEAVES}:
        values = {name: value for name, value in values.items() if value}
        if values.keys() <= set(_LEAVES) and "leaf_value" in values:
            for value in values.values():
                _number_of(value, 1)
            return
    if values.keys() != {*_NODES, *_LEAVES}:
        raise ValueError(f"tree {number} has other parts than LightGBM writes")
    for names, n in ((_NODES, leaves - 1), (_LEAVES, leaves)):
        for name in names:
            _number_of(values[name], n, name in _UNBOUNDED)
    chosen, kind = (_integers(values[name], leaves - 1) for name in ("split_feature", "decision_type"))
    if (chosen < 0).any() or (chosen >= features).any() or (kind & _CATEGORICAL).any():
        raise ValueError(f"tree {number} splits on a feature that is not there")
    if any((_integers(values[name]) < 1).any() for name in ("internal_count", "leaf_count")):
        raise ValueError(f"tree {number} has parts that nobody fell into")
    children = np.stack([_integers(values[f"{side}_child"], leaves - 1) for side in ("left", "right")])
    if not _is_tree(children, leaves):
        raise ValueError(f"tree {number} is no tree, or deeper than {_DEEPEST}")


def _is_tree(children: np.ndarray, leaves: int) -> bool:
    """Children [2 × nodes], leaf k as −k − 1 → whether everything hangs on node 0, once, and not too deep."""
    expected = np.concatenate([np.arange(1, leaves - 1), -np.arange(1, leaves + 1)])
    if not np.array_equal(np.sort(children.ravel()), np.sort(expected)):
        return False
    level, seen = np.array([0]), 0
    for _ in range(_DEEPEST):
        seen += len(level)
        below = children[:, level].ravel()
        level = below[below >= 0]
        if not len(level):
            return seen == leaves - 1
    return False


def _pairs(lines: list[str]) -> dict[str, str]:
    found = dict(line.partition("=")[::2] for line in lines)
    if len(found) != len(lines):
        raise ValueError("says something twice")
    return found


def _integers(text: str, n: int | None = None) -> np.ndarray:
    if not _INTEGERS.fullmatch(text):
        raise ValueError("has something else where numbers belong")
    found = np.array(text.split(" "), dtype=np.int64)
    if n is not None and len(found) != n:
        raise ValueError(f"has {len(found)} numbers where {n} belong")
    return found


def _number_of(text: str, n: int, unbounded: bool = False) -> None:
    """Raise ValueError where a text is not n numbers, finite ones unless `unbounded`."""
    if not _NUMBERS.fullmatch(text) or text.count(" ") != n - 1:
        raise ValueError(f"has something else where {n} numbers belong")
    if not unbounded and not np.isfinite(np.array(text.split(" "), dtype=np.float64)).all():
        raise ValueError("has a number that is none")
