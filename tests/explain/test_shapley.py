"""Shapley values against their definition, over all orders; sampled ones within their standard error."""

from __future__ import annotations

from itertools import permutations

import numpy as np
import pytest

from tschurn.explain import shapley


def by_definition(worth: np.ndarray) -> np.ndarray:
    players = worth.shape[-1].bit_length() - 1
    values = np.zeros((*worth.shape[:-1], players))
    orders = list(permutations(range(players)))
    for order in orders:
        there = 0
        for player in order:
            values[..., player] += worth[..., there | 1 << player] - worth[..., there]
            there |= 1 << player
    return values / len(orders)


@pytest.mark.parametrize("players", [1, 2, 3, 6])
def test_exact_values_are_those_of_the_definition(players: int) -> None:
    worth = np.random.default_rng(players).normal(size=(4, 2**players))
    found = shapley.exact(worth)
    np.testing.assert_allclose(found, by_definition(worth), atol=1e-12)
    np.testing.assert_allclose(found.sum(axis=1), worth[:, -1] - worth[:, 0], atol=1e-12)


def test_exact_values_are_those_of_the_package_shap() -> None:
    shap = pytest.importorskip("shap")
    weights = np.random.default_rng(0).normal(size=(5, 5))

    def model(x: np.ndarray) -> np.ndarray:
        return np.tanh(x @ weights).sum(axis=1) + x[:, 0] * x[:, 3]

    x, background = np.random.default_rng(1).normal(size=(2, 3, 5))
    theirs = shap.ExactExplainer(model, shap.maskers.Independent(background[:1])).__call__(x).values
    asked = shapley.coalitions(5)
    worth = np.stack([model(np.where(asked, row, background[0])) for row in x])
    np.testing.assert_allclose(shapley.exact(worth), theirs, atol=1e-9)


def test_coalitions_come_in_the_order_that_is_promised() -> None:
    asked = shapley.coalitions(3)
    assert not asked[0].any()
    assert asked[-1].all()
    assert len({tuple(row) for row in asked}) == 8
    with pytest.raises(ValueError, match="at most 12"):
        shapley.coalitions(13)


def test_sampled_values_add_up_and_keep_their_standard_error() -> None:
    players = 8
    values = np.random.default_rng(3).normal(size=(40, 2**players))
    powers = 1 << np.arange(players)
    exact = shapley.exact(values)
    z = []
    for seed in range(30):  # the orders are the same for all games of one call
        found, error = shapley.sampled(lambda asked: values[:, asked @ powers], players, 40, seed)
        np.testing.assert_allclose(found.sum(axis=1), values[:, -1] - values[:, 0], atol=1e-9)
        z.append((found - exact) / error)
    assert 0.93 < np.std(z) < 1.1
    assert abs(np.mean(z)) < 0.05


def test_an_additive_game_is_known_from_one_pair() -> None:
    weight = np.arange(1.0, 6.0)
    found, error = shapley.sampled(lambda asked: (asked @ weight)[None], 5, pairs=1, seed=0)
    np.testing.assert_allclose(found[0], weight)
    assert np.isnan(error).all()
