"""Splits against slow and plain versions: blocks of time never touch, at any origin; users are halved or kept apart."""

from __future__ import annotations

import re
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tschurn import config
from tschurn.errors import TooShortError
from tschurn.features import splits

BLOCKS = ("train", "validation", "test")

shapes = st.builds(
    config.WindowShape, observe_days=st.integers(1, 14), outcome_days=st.integers(1, 14), stride_days=st.integers(1, 10)
)
lengths = st.integers(0, 400)
shares = st.floats(0.05, 0.85)
origins = st.integers(2, 8)


def closed_anchors(days: int, shape: config.WindowShape) -> list[int]:
    return [a for a in range(shape.observe_days - 1, days, shape.stride_days) if a + shape.outcome_days < days]


def free(anchor: int, later: int, shape: config.WindowShape) -> bool:
    """Whether a window's outcome ends before the first observed day of the later window."""
    return anchor + shape.outcome_days < later - shape.observe_days + 1


def slowly(days: int, shape: config.WindowShape, first: int, last: int) -> dict[int, str]:
    """The blocks around a test period from anchor `first` to `last`, anchor by anchor."""
    closed = closed_anchors(days, shape)
    clear = [a for a in closed if free(a, first, shape)]
    validation = clear[-max(1, round(0.15 * len(closed))) :]
    train = [a for a in clear if free(a, validation[0], shape)]
    return {
        a: "test" if first <= a <= last else "later" if a > last
        else "validation" if a in validation else "train" if a in train else "purged"
        for a in closed
    }  # fmt: skip


def block(found: dict[int, str], name: str) -> list[int]:
    return [a for a, s in found.items() if s == name]


def carries(days: int, shape: config.WindowShape, share: float, count: int) -> bool:
    """Whether so long a log has that many test anchors, and windows for training and validation before them."""
    closed = closed_anchors(days, shape)
    test = closed[-max(1, round(share * len(closed))) :]
    clear = [a for a in closed if free(a, test[0], shape)]
    validation = clear[-max(1, round(0.15 * len(closed))) :]
    return len(test) >= count and any(free(a, validation[0], shape) for a in clear)


def rolled(days: int, shape: config.WindowShape, share: float, count: int) -> list[dict[int, str]]:
    """The blocks of each origin; what the log is too short for is not tried."""
    try:
        return splits.origin_anchors(days, shape, config.Split(kind="rolling", origins=count, test_share=share))
    except TooShortError:
        assume(False)
        raise


@given(lengths, shapes, shares)
def test_blocks_of_time_never_touch(days: int, shape: config.WindowShape, share: float) -> None:
    try:
        found = splits.split_anchors(days, shape, config.Split(test_share=share))
    except TooShortError:
        return
    assert all(block(found, name) for name in BLOCKS)
    for earlier, later in (("train", "validation"), ("validation", "test")):
        assert free(max(block(found, earlier)), min(block(found, later)), shape)
    closed = closed_anchors(days, shape)
    test = closed[-max(1, round(share * len(closed))) :]
    assert list(found.items()) == list(slowly(days, shape, test[0], test[-1]).items())
    assert splits.origin_anchors(days, shape, config.Split(test_share=share)) == [found]


@given(lengths, shapes, shares, origins)
def test_periods_partition_the_last_anchors_in_nearly_equal_parts(days, shape, share, count) -> None:
    found = rolled(days, shape, share, count)
    periods = [block(one, "test") for one in found]
    assert len(periods) == count
    closed = closed_anchors(days, shape)
    assert [a for period in periods for a in period] == closed[-max(1, round(share * len(closed))) :]
    sizes = [len(p) for p in periods]
    assert min(sizes) >= 1 and max(sizes) - min(sizes) <= 1
    assert sizes == sorted(sizes)  # the last one measures the model that is used: no period is longer


@given(lengths, shapes, shares, origins)
def test_no_outcome_reaches_into_a_later_block_at_any_origin(days, shape, share, count) -> None:
    for found in rolled(days, shape, share, count):
        assert list(found) == closed_anchors(days, shape)
        assert all(block(found, name) for name in BLOCKS)
        for i, earlier in enumerate(BLOCKS):
            for later in BLOCKS[i + 1 :]:
                for a in block(found, earlier):
                    outcome = set(range(a + 1, a + shape.outcome_days + 1))
                    observed = {
                        d for b in block(found, later) for d in range(b - shape.observe_days + 1, b + 1)
                    }  # fmt: skip
                    assert not outcome & observed


@given(lengths, shapes, shares, origins)
def test_each_origin_equals_a_slow_version_and_uses_nothing_later(days, shape, share, count) -> None:
    for found in rolled(days, shape, share, count):
        test = block(found, "test")
        assert found == slowly(days, shape, test[0], test[-1])
        used = [a for name in BLOCKS for a in block(found, name)]
        assert min(block(found, "later"), default=days) > max(used)


@given(lengths, shapes, shares, origins)
def test_what_an_origin_learns_from_the_next_one_may_learn_from_too(days, shape, share, count) -> None:
    found = rolled(days, shape, share, count)
    for one, following in pairwise(found):
        begin = min(block(following, "test"))
        assert all(free(a, begin, shape) for a in block(one, "train"))
        assert set(block(one, "train")) <= set(block(following, "train"))
        assert max(block(one, "test")) < begin


@given(lengths, shapes, shares, origins)
def test_the_last_origin_is_the_one_of_split_anchors_and_the_first_decides_the_days(days, shape, share, count) -> None:
    found = rolled(days, shape, share, count)
    rolling, by_time = (config.Split(kind=kind, origins=count, test_share=share) for kind in ("rolling", "time"))
    assert splits.split_anchors(days, shape, rolling) == found[-1]
    assert "later" not in found[-1].values()
    learned = splits.training_days(days, shape, rolling)
    assert learned == max(block(found[0], "train")) + 1 == splits.training_days(days, shape, by_time)


@given(lengths, shapes, shares, origins)
def test_an_error_says_how_many_origins_fit_and_how_long_is_long_enough(days, shape, share, count) -> None:
    try:
        splits.split_anchors(days, shape, config.Split(kind="rolling", origins=count, test_share=share))
        assert carries(days, shape, share, count)
        return
    except TooShortError as error:
        sentence = str(error)
    assert f"spans {days} days" in sentence and "\n" not in sentence and ". " not in sentence
    too_many = re.search(r"\[split\] origins = (\d+).*can carry (?:at most (\d+)|one only)", sentence)
    wanted = count if too_many else 1
    if too_many:
        most = int(too_many[2] or 1)
        assert int(too_many[1]) == count > most
        assert carries(days, shape, share, most) and not carries(days, shape, share, most + 1)
    assert not carries(days, shape, share, wanted)
    need = re.search(r"at least (\d+)", sentence)
    if need:
        enough = int(need[1])
        assert enough > days and carries(enough, shape, share, wanted)
        assert not any(carries(d, shape, share, wanted) for d in range(enough - 1, days, -shape.stride_days))
    else:
        assert "smaller test_share" in sentence and not carries(days + 300, shape, share, wanted)


def test_42_days_are_enough_and_41_are_not() -> None:
    shape, split = config.WindowShape(), config.Split()
    assert list(splits.split_anchors(42, shape, split).values()) == ["train", "purged", "validation", "purged", "test"]
    with pytest.raises(TooShortError, match=r"spans 41 days.*at least 42"):
        splits.split_anchors(41, shape, split)


@pytest.mark.parametrize(("kind", "need"), [("random", 21), ("user", 14)])
def test_other_kinds_need_less_and_say_so(kind: str, need: int) -> None:
    shape, split = config.WindowShape(), config.Split(kind=kind)
    assert splits.training_days(need, shape, split) == 7
    with pytest.raises(TooShortError, match=rf"spans {need - 1} days.*at least {need} are needed"):
        splits.training_days(need - 1, shape, split)


@given(st.integers(1, 60), st.integers(0, 2**31 - 1), st.sampled_from(["time", "rolling"]), st.integers(0, 2))
def test_windows_follow_their_anchor_and_the_users_of_validation_are_halved(users, seed, kind, origin) -> None:
    shape, split, days = config.WindowShape(stride_days=3), config.Split(kind=kind), 120
    if kind == "time":
        origin = 0
    found = splits.origin_anchors(days, shape, split)[origin]
    random = np.random.default_rng(seed)
    user, place = np.nonzero(random.random((users, len(splits.anchors(days, shape)))) < 0.5)
    anchor = splits.anchors(days, shape)[place]
    assigned = splits.assign(user, anchor, days, shape, split, seed, origin=origin)
    halves = {name: set(user[assigned == name].tolist()) for name in ("validation", "calibration")}
    together = [found.get(int(a), "open") for a in anchor]
    assert [s.replace("calibration", "validation") for s in assigned] == together
    assert not halves["validation"] & halves["calibration"]
    assert len(halves["validation"]) - len(halves["calibration"]) in (0, 1)
    # the draw belongs to the seed: a run of today halves as one of yesterday did
    drawn = np.random.default_rng([seed, 1]).permutation(sorted(halves["validation"] | halves["calibration"]))
    assert halves["calibration"] == set(drawn[: len(drawn) // 2].tolist())


def test_unless_said_otherwise_the_split_is_that_of_the_last_origin() -> None:
    shape, split = config.WindowShape(), config.Split(kind="rolling")
    anchor = np.repeat(splits.anchors(200, shape), 40)
    user = np.tile(np.arange(40), len(anchor) // 40)
    at = [splits.assign(user, anchor, 200, shape, split, 5, origin=k) for k in range(3)]
    assert splits.assign(user, anchor, 200, shape, split, 5).tolist() == at[2].tolist()
    assert "later" in at[0] and "later" in at[1] and "later" not in at[2]
    assert [int((s == "test").sum()) for s in at] == [80, 80, 120]


def test_user_split_works_with_one_anchor_and_keeps_users_apart() -> None:
    user = np.arange(200)
    found = splits.assign(user, np.full(200, 6), 14, config.WindowShape(), config.Split(kind="user"), 0)
    assert set(found) == {"train", "validation", "calibration", "test"}
    assert (found == "test").sum() == 50
    validation, calibration = ((found == s).sum() for s in ("validation", "calibration"))
    assert validation + calibration == round(0.15 * 150) and abs(validation - calibration) <= 1


@given(st.integers(10, 80), st.integers(0, 1000))
def test_user_split_never_divides_a_user(users: int, seed: int) -> None:
    user, place = np.nonzero(np.random.default_rng(seed).random((users, 12)) < 0.6)
    anchor = splits.anchors(84, config.WindowShape())[place]
    found = splits.assign(user, anchor, 84, config.WindowShape(), config.Split(kind="user"), seed)
    closed = anchor + 7 <= 83
    assert (found[~closed] == "open").all() and "open" not in found[closed]
    assert all(len(set(found[closed & (user == u)])) <= 1 for u in range(users))


@given(st.integers(21, 300), shares, st.integers(0, 1000))
def test_the_random_split_tests_the_last_anchors_and_purges_nothing(days: int, share: float, seed: int) -> None:
    shape, split = config.WindowShape(), config.Split(kind="random", test_share=share)
    closed = closed_anchors(days, shape)
    assume(len(closed) > max(1, round(share * len(closed))))
    anchor = np.repeat(splits.anchors(days, shape), 50)
    user = np.tile(np.arange(50), len(anchor) // 50)
    found = splits.assign(user, anchor, days, shape, split, seed)
    test = closed[-max(1, round(share * len(closed))) :]
    assert ((found == "test") == np.isin(anchor, test)).all()
    before = found[anchor < test[0]]
    assert set(before) <= {"train", "validation", "calibration"}
    assert np.mean(before == "train") == pytest.approx(0.8, abs=4 * 0.4 / np.sqrt(len(before)))
    assert splits.training_days(days, shape, split) == max(a for a in closed if a < test[0]) + 1
