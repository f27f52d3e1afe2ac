"""days of the log → anchors, and anchors or users → train, validation, calibration, test, purged, open.

All days are positions counted from the first day of the log.
"""

from __future__ import annotations

import numpy as np

from tschurn.config import Split, WindowShape
from tschurn.errors import TooShortError

VALIDATION_SHARE = 0.15  # of the anchors, or of the users with kind = "user"
RANDOM_VALIDATION_SHARE = 0.2  # of the windows before test: the founding project's 27,536 to 6,885


def anchors(days: int, shape: WindowShape) -> np.ndarray:
    """Every anchor of a log of `days` days, open ones included: from day observe_days on, by stride."""
    return np.arange(shape.observe_days - 1, days, shape.stride_days)


def is_closed(anchor: np.ndarray, days: int, shape: WindowShape) -> np.ndarray:
    """Whether the whole outcome of a window lies inside the log."""
    return anchor + shape.outcome_days <= days - 1


def split_anchors(days: int, shape: WindowShape, split: Split) -> dict[int, str]:
    """Closed anchors → 'train', 'validation', 'test' or 'purged', earlier ones first.

    Test: the last `test_share` of the closed anchors; validation: 15 % of the anchors, before it. An
    anchor stays in an earlier block only if its outcome ends before the first observed day of the
    later block; what lies across is purged. With kind = "random" everything before test is 'train'
    here and divided window by window later, and nothing is purged, as in the founding project.

    Raises TooShortError, saying how long the log must be.
    """
    every = anchors(days, shape)
    closed = every[is_closed(every, days, shape)]
    reach = shape.observe_days + shape.outcome_days  # from an anchor to the next one that is free of it
    n_test = max(1, round(split.test_share * len(closed)))
    test = closed[len(closed) - n_test :]
    before = closed[: len(closed) - n_test]
    if split.kind == "random":
        if not len(before):
            raise _too_short(days, shape)
        return dict.fromkeys(before.tolist(), "train") | dict.fromkeys(test.tolist(), "test")
    clear = before[before + reach <= test[0]] if len(test) else before
    n_validation = max(1, round(VALIDATION_SHARE * len(closed)))
    validation = clear[max(0, len(clear) - n_validation) :]
    train = clear[clear + reach <= validation[0]] if len(validation) else clear[:0]
    if not len(train):
        raise _too_short(days, shape)
    found = dict.fromkeys(closed.tolist(), "purged")
    for name, block in (("train", train), ("validation", validation), ("test", test)):
        found.update(dict.fromkeys(block.tolist(), name))
    return found


def assign(user: np.ndarray, anchor: np.ndarray, days: int, shape: WindowShape, split: Split, seed: int) -> np.ndarray:
    """Windows (user and anchor positions) → their split, one of contracts.SPLITS.

    The users of validation are halved at random: 'validation' chooses models, 'calibration'
    calibrates them. With kind = "user" the users are divided instead of the anchors, so that a
    single anchor is enough.
    """
    random = np.random.default_rng([seed, 1])
    closed = is_closed(anchor, days, shape)
    if split.kind == "user":
        found = _by_user(user, closed, split, random)
    else:
        by_anchor = split_anchors(days, shape, split)
        found = np.array([by_anchor.get(a, "open") for a in range(days)], dtype=object)[anchor]
        if split.kind == "random":
            drawn = random.random(len(found)) < RANDOM_VALIDATION_SHARE
            found[(found == "train") & drawn] = "validation"
    halved = random.permutation(np.unique(user[found == "validation"]))
    found[(found == "validation") & np.isin(user, halved[: len(halved) // 2])] = "calibration"
    found[~closed] = "open"
    return found


def _by_user(user: np.ndarray, closed: np.ndarray, split: Split, random: np.random.Generator) -> np.ndarray:
    """The users with closed windows, divided at random: test first, 15 % of the others validation."""
    users = random.permutation(np.unique(user[closed]))
    n_test = max(1, round(split.test_share * len(users)))
    n_validation = max(2, round(VALIDATION_SHARE * (len(users) - n_test)))
    test, validation, _ = np.split(users, [n_test, n_test + n_validation])
    found = np.full(len(user), "train", dtype=object)
    found[np.isin(user, validation)] = "validation"
    found[np.isin(user, test)] = "test"
    return found


def training_days(days: int, shape: WindowShape, split: Split) -> int:
    """How many days from the start may be learned from: up to the last training anchor."""
    if split.kind == "user":
        every = anchors(days, shape)
        closed = every[is_closed(every, days, shape)]
        if not len(closed):
            raise _too_short(days, shape)
        return int(closed[-1]) + 1
    return max(a for a, name in split_anchors(days, shape, split).items() if name == "train") + 1


def _too_short(days: int, shape: WindowShape) -> TooShortError:
    need = shape.shortest_log.days
    return TooShortError(
        f"the log spans {days} days, too short to split by time: with {shape.observe_days} + {shape.outcome_days} days "
        f"at least {need} are needed (a window each for training, validation and test); "
        'give a longer log, or set [split] kind = "user"'
    )
