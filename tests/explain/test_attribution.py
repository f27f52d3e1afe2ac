"""What days and groups add to a model's answer, where the model is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.special import expit
from synthetic import build, experiment, make_log

from tschurn.errors import ConfigError
from tschurn.explain import attribution as a
from tschurn.explain import direct, levers
from tschurn.features.windows import WindowSet


@pytest.fixture(scope="module")
def windows(tmp_path_factory: pytest.TempPathFactory) -> WindowSet:
    log = {"post_events": ["post"], "reply_events": ["reply"], "path": "x.csv"}
    return build(make_log(users=40, seed=6), tmp_path_factory.mktemp("asked"), experiment(log=log))[0]


def place(windows: WindowSet, feature: str) -> int:
    return windows.features[windows.features["kind"] == "daily"]["feature"].tolist().index(feature)


def test_only_the_day_that_a_model_reads_counts(windows: WindowSet) -> None:
    posts = place(windows, "own:post:count")

    def predict(mixed: object) -> np.ndarray:
        return 2.0 * mixed.batch(np.arange(len(mixed.index)))[:, 3, posts]

    rows, others = np.arange(40, 60), np.array([3, 8, 11])
    of = a.attribute(windows, windows.groups(), predict, expit, rows, others, a.day_players(7), threads=2)
    assert of.players.names == ["before", "-6", "-5", "-4", "-3", "-2", "-1", "0"]
    expected = 2.0 * (windows.batch(rows)[:, 3, posts] - windows.batch(others)[:, 3, posts].mean())
    assert np.ptp(expected) > 0
    np.testing.assert_allclose(of.log_odds[:, of.players.names.index("-3")], expected, atol=1e-9)
    assert np.abs(np.delete(of.log_odds, of.players.names.index("-3"), axis=1)).max() < 1e-9
    np.testing.assert_allclose(of.full, predict(windows.mixed(windows.groups(), rows, rows, np.full((20, 8), -1))))
    base = expit(2.0 * windows.batch(others)[:, 3, posts]).mean()
    np.testing.assert_allclose(of.probability.sum(axis=1), expit(of.full) - base, atol=1e-9)
    assert of.gap < 1e-9


def test_the_past_counts_where_a_model_reads_history(windows: WindowSet) -> None:
    past = windows.features[windows.features["kind"] == "history"]["feature"].tolist()

    def predict(mixed: object) -> np.ndarray:
        return mixed.history(np.arange(len(mixed.index)))[:, past.index("history:tenure")]

    rows, others = np.arange(60, 80), np.array([3])
    of = a.attribute(windows, windows.groups(), predict, expit, rows, others, a.day_players(7))
    np.testing.assert_allclose(of.full, windows.history(rows)[:, past.index("history:tenure")])
    # the days count too: without a past a life begins on one of them
    assert np.abs(of.log_odds[:, 0]).sum() > 3 * np.abs(of.log_odds[:, 1:]).sum()


def test_groups_and_cells_find_the_kind_of_act(windows: WindowSet) -> None:
    likes, groups = place(windows, "received:like:count"), windows.groups()
    names = groups.table["group"].tolist()

    def predict(mixed: object) -> np.ndarray:
        return mixed.batch(np.arange(len(mixed.index)))[:, -1, likes].astype(float) ** 2

    rows, others = np.arange(40, 60), np.array([5])
    by_group = a.attribute(windows, groups, predict, expit, rows, others, a.group_players(names, 7))
    like = names.index("received:like")
    np.testing.assert_allclose(by_group.log_odds[:, like], by_group.full - by_group.base)
    cells = a.attribute_sampled(
        windows, groups, predict, expit, rows, others, a.cell_players(names, 7), pairs=3, seed=0
    )
    here = cells.players.names.index("0|received:like")
    np.testing.assert_allclose(cells.log_odds[:, here], by_group.log_odds[:, like])
    assert np.abs(np.delete(cells.log_odds, here, axis=1)).max() < 1e-9
    assert cells.error.max() < 1e-9
    assert cells.gap < 1e-9


def test_long_observations_are_cut_into_blocks() -> None:
    players = a.day_players(28)
    assert len(players) == 1 + a.MOST_BLOCKS
    assert players.names[1] == "-27..-25"
    assert players.names[-1] == "-1..0"
    assert (np.bitwise_or.reduce(players.cells) == -1).all()
    assert ((players.cells != 0).sum(axis=0) == 1).all()


def test_a_background_spans_the_answers() -> None:
    log_odds = np.random.default_rng(0).normal(size=1000)
    rows = np.arange(500)
    of = a.background(log_odds, rows, 4)
    assert set(of) <= set(rows)
    ranks = np.sort(np.searchsorted(np.sort(log_odds[rows]), log_odds[of])) / 500
    np.testing.assert_allclose(ranks, [0.125, 0.375, 0.625, 0.875], atol=0.01)


def test_a_surrogate_that_is_the_model_agrees_and_its_opposite_does_not(windows: WindowSet) -> None:
    def predict(mixed: object) -> np.ndarray:
        return mixed.batch(np.arange(len(mixed.index))).sum(axis=(1, 2)).astype(float)

    rows = np.arange(30, 70)
    spread = float(windows.batch(rows).sum(axis=(1, 2)).std())
    same = direct.agreement(windows, predict, predict, spread, rows, [], experiment())
    assert (same.direction, same.attribution, same.strongest) == (1.0, pytest.approx(1.0), 1.0)
    posts = place(windows, "own:post:count")
    only_posts = lambda m: m.batch(np.arange(len(m.index)))[:, :, posts].sum(axis=1)  # noqa: E731
    other = direct.agreement(windows, predict, only_posts, spread, rows, [], experiment())
    assert other.strongest < 1 and other.attribution < 1
    opposite = direct.agreement(windows, predict, lambda m: -predict(m), spread, rows, [], experiment())
    assert (opposite.direction, opposite.attribution) == (0.0, pytest.approx(-1.0))
    flat = direct.agreement(windows, lambda m: np.zeros(len(m.index)), predict, 0.0, rows, [], experiment())
    assert (flat.direction, flat.attribution, flat.strongest) == (None, None, None)


def test_levers_move_what_is_under_the_usual(windows: WindowSet) -> None:
    likes = place(windows, "received:like:count")

    def predict(mixed: object) -> np.ndarray:
        return -0.1 * mixed.batch(np.arange(len(mixed.index)))[:, :, likes].sum(axis=1)

    train = np.flatnonzero(windows.index["split"] == "train")
    rows = np.flatnonzero(windows.index["split"] == "test")
    table = levers.levers(windows, ["like"], predict, expit, rows, train)
    assert 0 < len(table) < len(rows)
    assert (table["value"] < table["typical"]).all()
    assert (table["p_moved"] < table["p"]).all()
    for about, sentence in (("liek", "did you mean"), ("nothing like it", "no such event")):
        with pytest.raises(ConfigError, match=sentence):
            levers.levers(windows, [about], predict, expit, rows, train)


def test_a_lever_that_nobody_lacks_has_no_row(windows: WindowSet) -> None:
    from tschurn.contracts import LEVERS

    train = np.flatnonzero(windows.index["split"] == "train")
    likes = windows.batch(train)[:, :, place(windows, "received:like:count")].sum(axis=1)
    most = train[np.argsort(-likes)[:3]]  # nobody has more
    table = levers.levers(windows, ["like"], lambda m: np.zeros(len(m.index)), expit, most, train)
    assert table.empty
    LEVERS.check(table.assign(target="churn"))


def test_all_tables_of_a_run(windows: WindowSet, tmp_path: Path) -> None:
    from tschurn import contracts as c

    posts = place(windows, "own:post:count")

    def predict(mixed: object) -> np.ndarray:
        return -mixed.batch(np.arange(len(mixed.index)))[:, :, posts].sum(axis=1).astype(float)

    log_odds = -windows.batch(np.arange(len(windows))).sum(axis=1)[:, posts].astype(float)
    exp = experiment(explain={"levers": ["like"], "references": 2, "groups": 6})
    asked = direct.Asked("gru", predict, expit)
    tables = direct.direct_tables(windows, asked, log_odds, [], windows.newest(), "churn", exp)
    for name, contract in (("attribution", c.ATTRIBUTION), ("attribution_games", c.ATTRIBUTION_GAMES),
                           ("players", c.PLAYERS), ("levers", c.LEVERS)):  # fmt: skip
        contract.check(tables[name])
    games = tables["attribution_games"].set_index("game")
    assert list(games.index) == list(c.GAMES)
    assert (games[["gap", "unfaithful"]] < 1e-6).all(axis=None)
    days = tables["players"][tables["players"]["game"] == "days"]
    assert days.set_index("player")["importance"].drop("before").sum() > 0
    alone = tables["attribution"].query("game == 'cells'").groupby("user_id", observed=True).size()
    assert len(alone) == min(direct.CELLS_OF, len(windows.newest()))
