"""days of the log → anchors, and anchors or users → train, validation, calibration, test, purged, open.

All days are positions counted from the first day of the log.
"""

from __future__ import annotations

import numpy as np

from tschurn.config import Split, WindowShape
from tschurn.errors import TooShortError

VALIDATION_SHARE = 0.15  # of the anchors, or of the users with kind = "user"
RANDOM_VALIDATION_SHARE = 0.2  # of the windows before test: the founding project's 27,536 to 6,885
LATER = "later"  # the split of windows after the test period of an origin: not used at that origin
MOST_ANCHORS = 1000  # up to which a message looks for the log that would be long enough


def anchors(days: int, shape: WindowShape) -> np.ndarray:
    """Every anchor of a log of `days` days, open ones included: from day observe_days on, by stride."""
    return np.arange(shape.observe_days - 1, days, shape.stride_days)


def is_closed(anchor: np.ndarray, days: int, shape: WindowShape) -> np.ndarray:
    """Whether the whole outcome of a window lies inside the log."""
    return anchor + shape.outcome_days <= days - 1


def split_anchors(days: int, shape: WindowShape, split: Split) -> dict[int, str]:
    """Closed anchors → 'train', 'validation', 'test' or 'purged', earlier ones first; at the last origin.

    Test: the last `test_share` of the closed anchors; validation: 15 % of the anchors, before it. An
    anchor stays in an earlier block only if its outcome ends before the first observed day of the
    later block; what lies across is purged. With kind = "random" everything before test is 'train'
    here and divided window by window later, and nothing is purged, as in the founding project.

    Raises TooShortError, saying how long the log must be.
    """
    return origin_anchors(days, shape, split)[-1]


def origin_anchors(days: int, shape: WindowShape, split: Split) -> list[dict[int, str]]:
    """Closed anchors → their block at each origin, the first origin first; one mapping unless kind = "rolling".

    With kind = "rolling" the last `test_share` of the closed anchors is cut into `origins` consecutive
    periods of nearly equal numbers of anchors. At each origin one period is test, validation and
    training stand before it as in `split_anchors`, and what comes after it is 'later': not used there.

    Raises TooShortError, saying how long the log must be, and how many origins it can carry.
    """
    closed = _closed(days, shape)
    if not _fits(closed, shape, split):
        raise _too_short(days, shape, split)
    test = _test(closed, split)
    if split.kind == "random":
        return [dict.fromkeys(closed.tolist(), "train") | dict.fromkeys(test.tolist(), "test")]
    if split.kind == "rolling" and len(test) < split.origins:
        raise _too_many_origins(days, shape, split)
    return [_at_origin(closed, period, shape) for period in _periods(test, split)]


def _periods(test: np.ndarray, split: Split) -> list[np.ndarray]:
    """Test anchors → one period per origin; where they cannot be equal the later ones are longer, by one anchor."""
    backwards = np.array_split(test[::-1], split.origins if split.kind == "rolling" else 1)
    return [period[::-1] for period in backwards[::-1]]


def _closed(days: int, shape: WindowShape) -> np.ndarray:
    every = anchors(days, shape)
    return every[is_closed(every, days, shape)]


def _test(closed: np.ndarray, split: Split) -> np.ndarray:
    """The last `test_share` of the closed anchors, one at least."""
    return closed[max(0, len(closed) - max(1, round(split.test_share * len(closed)))) :]


def _before(closed: np.ndarray, first: int, shape: WindowShape) -> tuple[np.ndarray, np.ndarray]:
    """→ the training and the validation anchors that are clear of a test period from anchor `first` on."""
    reach = shape.observe_days + shape.outcome_days  # from an anchor to the next one that is free of it
    clear = closed[closed + reach <= first]
    n_validation = max(1, round(VALIDATION_SHARE * len(closed)))
    validation = clear[max(0, len(clear) - n_validation) :]
    return (clear[clear + reach <= validation[0]] if len(validation) else clear[:0]), validation


def _at_origin(closed: np.ndarray, period: np.ndarray, shape: WindowShape) -> dict[int, str]:
    """Closed anchors and the test period among them → their block at this origin."""
    train, validation = _before(closed, period[0], shape)
    found = {a: LATER if a > period[-1] else "purged" for a in closed.tolist()}
    for name, block in (("train", train), ("validation", validation), ("test", period)):
        found.update(dict.fromkeys(block.tolist(), name))
    return found


def _fits(closed: np.ndarray, shape: WindowShape, split: Split) -> bool:
    """Whether the anchors give every block one. Rolling or not: the first period begins where test does."""
    if split.kind == "user":
        return len(closed) > 0
    if split.kind == "random":
        return len(closed) > len(_test(closed, split))
    return len(closed) > 0 and len(_before(closed, _test(closed, split)[0], shape)[0]) > 0


def assign(
    user: np.ndarray, anchor: np.ndarray, days: int, shape: WindowShape, split: Split, seed: int,
    origin: int | None = None,
) -> np.ndarray:  # fmt: skip
    """Windows (user and anchor positions) → their split, one of contracts.SPLITS; before the last origin also 'later'.

    The users of validation are halved at random: 'validation' chooses models, 'calibration'
    calibrates them. With kind = "user" the users are divided instead of the anchors, so that a
    single anchor is enough. origin: with kind = "rolling", which of the origins, from 0 on; the
    last one unless said otherwise.
    """
    random = np.random.default_rng([seed, 1])
    closed = is_closed(anchor, days, shape)
    if split.kind == "user":
        found = _by_user(user, closed, split, random)
    else:
        by_anchor = origin_anchors(days, shape, split)[-1 if origin is None else origin]
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
    """How many days from the start may be learned from: up to the last training anchor of the first origin.

    What is learned from days is learned once for all origins, so the earliest of them must know it.
    """
    if split.kind == "user":
        closed = _closed(days, shape)
        if not _fits(closed, shape, split):
            raise _too_short(days, shape, split)
        return int(closed[-1]) + 1
    return max(a for a, name in origin_anchors(days, shape, split)[0].items() if name == "train") + 1


def _too_short(days: int, shape: WindowShape, split: Split) -> TooShortError:
    need = _longer(days, shape, split, origins=1)
    pair = f"{shape.observe_days} + {shape.outcome_days} days"
    spans = f"the log spans {days} days, too short"
    if split.kind == "user":
        return TooShortError(f"{spans} for one window of {pair}: at least {need} are needed")
    blocks = "training and test" if split.kind == "random" else "training, validation and test"
    if need is None:
        return TooShortError(
            f"{spans} to split by time: [split] test_share = {split.test_share:g} leaves too few anchors before test "
            f"for a window of {pair} each for {blocks}; set a smaller test_share"
        )
    return TooShortError(
        f"{spans} to split by time: with {pair} at least {need} are needed (a window each for {blocks}); "
        'give a longer log, or set [split] kind = "user"'
    )


def _too_many_origins(days: int, shape: WindowShape, split: Split) -> TooShortError:
    most = len(_test(_closed(days, shape), split))
    need = _longer(days, shape, split, origins=split.origins)
    carries = f"at most {most}" if most > 1 else 'one only, which is kind = "time"'
    return TooShortError(
        f"the log spans {days} days, too short for [split] origins = {split.origins}: with test_share = "
        f"{split.test_share:g} it can carry {carries}; set fewer origins or a larger test_share"
        + (f", or give a log of at least {need} days" if need else "")
    )


def _longer(days: int, shape: WindowShape, split: Split, origins: int) -> int | None:
    """How long a longer log must be, in days, to be split so; None where no sensible length is enough."""
    for count in range(len(_closed(days, shape)) + 1, MOST_ANCHORS):
        enough = shape.observe_days + (count - 1) * shape.stride_days + shape.outcome_days
        closed = _closed(enough, shape)
        if _fits(closed, shape, split) and len(_test(closed, split)) >= origins:
            return enough
    return None
