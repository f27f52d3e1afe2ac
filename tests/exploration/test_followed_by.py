"""Which blocks were followed by churn, against loops over days."""

from datetime import timedelta

import pytest
from exploration.process_oracle import FIRST, ROWS, frame_of, slow_block, slow_groups
from hypothesis import given, settings
from hypothesis import strategies as st

from tschurn.exploration.followed_by import Blocks, followed_by
from tschurn.exploration.lifecycle import number_of


def found(log, blocks, churn):
    rows = followed_by(log, blocks, churn).to_pyarrow().to_pylist()
    groups = {(row["user_id"], row["block"]): row["churned"] for row in rows}
    assert len(groups) == len(rows)
    return groups


@settings(derandomize=True, deadline=None, max_examples=60)
@given(
    rows=ROWS, observe=st.integers(1, 9), outcome=st.integers(1, 20), until=st.integers(-3, 50),
    activity=st.sampled_from([None, ["a"], ["a", "b"]]),
)  # fmt: skip
def test_groups_equal_the_slow_version(to_log, experiment, rows, observe, outcome, until, activity):
    frame = frame_of(rows)
    blocks = Blocks(FIRST, FIRST + timedelta(days=until), observe, outcome)
    targets = experiment(churn={"events": activity} if activity else {}).targets
    assert found(to_log(frame), blocks, targets.churn) == slow_groups(frame, blocks, activity)


def test_the_days_of_a_block_and_the_days_after_it(to_log, experiment):
    """Blocks of a week back from the last day whose outcome is known."""
    blocks = Blocks(FIRST, FIRST + timedelta(days=30), 7, 7)  # block 0: days 17 to 23, block 1: 10 to 16
    assert [slow_block(FIRST + timedelta(days=d), blocks) for d in (2, 3, 10, 16, 17, 23, 24)] == [
        None,
        2,
        1,
        1,
        0,
        0,
        None,
    ]
    churn = experiment().targets.churn
    for later, churned in ((23, True), (24, False), (30, False), (31, True)):
        log = to_log(frame_of([(1, 17, 0, True, "a"), (1, later, 0, True, "a")]))
        assert found(log, blocks, churn) == {(1, 0): churned}
    received = to_log(frame_of([(1, 17, 0, True, "a"), (1, 25, 0, False, "a"), (2, 17, 0, False, "a")]))
    assert found(received, blocks, churn) == {(1, 0): True}


def test_nothing_after_until_is_looked_at(to_log, experiment):
    blocks = Blocks(FIRST, FIRST + timedelta(days=30), 7, 7)
    rows = [(1, 17, 0, True, "a"), (2, 18, 0, True, "a"), (2, 26, 0, True, "a")]
    churn = experiment().targets.churn
    before = found(to_log(frame_of(rows)), blocks, churn)
    assert (
        found(to_log(frame_of(rows + [(u, d, 0, True, "b") for u in (1, 2) for d in (31, 33, 60)])), blocks, churn)
        == before
    )


@pytest.mark.parametrize("until", [None, FIRST, FIRST + timedelta(days=12)])
def test_too_short_a_log_has_no_blocks(to_log, experiment, until):
    blocks = Blocks(FIRST, until, 7, 7)
    assert blocks.count == 0
    assert found(to_log(frame_of([(1, 3, 0, True, "a")])), blocks, experiment().targets.churn) == {}


def test_one_more_day_makes_a_block():
    assert Blocks(FIRST, FIRST + timedelta(days=13), 7, 7).count == 1
    assert number_of(FIRST) == 19783
