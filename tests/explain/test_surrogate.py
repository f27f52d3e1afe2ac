"""surrogate.py: fidelity is honest, contributions are exact, nothing breaks on degenerate input."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import r2_score

from tschurn.explain.surrogate import fidelity, fit_surrogate

COLUMNS = ["a [1]", "b", "c"]


def model_and_windows(users: int = 300, windows: int = 8) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """values, a smooth model's log-odds, users, which windows are held (the last two of each user)."""
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(users), windows)
    matrix = rng.normal(size=(len(user), 3)).astype(np.float32)
    log_odds = 2 * matrix[:, 0] - matrix[:, 1] ** 2
    return matrix, log_odds.astype(float), user, np.tile(np.arange(windows) >= windows - 2, users)


def test_contributions_add_up_to_the_prediction() -> None:
    matrix, log_odds, user, held = model_and_windows()
    surrogate = fit_surrogate(matrix, COLUMNS, log_odds, user, ~held, held, seed=1)
    contributions, base = surrogate.contributions(matrix)
    assert contributions.shape == matrix.shape
    np.testing.assert_allclose(contributions.sum(axis=1) + base, surrogate.booster.predict(matrix), atol=1e-6)
    assert surrogate.r2 > 0.9 and surrogate.spearman > 0.9 and surrogate.top_decile_overlap > 0.7
    assert (surrogate.windows, surrogate.users) == (held.sum(), 300)


def test_fidelity_is_measured_on_users_not_seen() -> None:
    """The model's log-odds are a trait of the user, told by a column that identifies users and nothing else.

    Trees that had seen the user's other windows would imitate well; on new users they cannot.
    """
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(200), 8)
    trait, held = rng.normal(size=200)[user], np.tile(np.arange(8) >= 6, 200)
    name = rng.permutation(200)[user, None].astype(np.float32)
    surrogate = fit_surrogate(name, ["name"], trait, user, ~held, held, seed=0)
    assert surrogate.r2 < 0.2
    seen = surrogate.contributions(name)[0][:, 0] + surrogate.contributions(name)[1]
    assert r2_score(trait[held], seen[held]) > 0.5


def test_held_windows_do_not_reach_the_fit() -> None:
    matrix, log_odds, user, held = model_and_windows(60)
    first = fit_surrogate(matrix, COLUMNS, log_odds, user, ~held, held, seed=1)
    other = fit_surrogate(matrix, COLUMNS, np.where(held, 99.0 + log_odds, log_odds), user, ~held, held, seed=1)
    np.testing.assert_array_equal(first.contributions(matrix)[0], other.contributions(matrix)[0])


def test_fidelity_figures() -> None:
    rng = np.random.default_rng(0)
    model = rng.normal(size=500)
    imitated = model + 0.5 * rng.normal(size=500)
    found = fidelity(model, imitated)
    assert found.r2 == pytest.approx(r2_score(model, imitated))
    assert found.spearman == pytest.approx(stats.spearmanr(model, imitated).statistic)
    top = set(np.argsort(model)[-50:]) & set(np.argsort(imitated)[-50:])
    assert found.top_decile_overlap == pytest.approx(len(top) / 50)
    assert fidelity(model, model).top_decile_overlap == 1
    assert fidelity(model, -model).top_decile_overlap == 0


def test_windows_that_the_model_holds_equal_may_stand_in_any_order() -> None:
    model = np.repeat([1.0, 0.0], [40, 60])
    assert fidelity(model, model + np.linspace(0, 0.5, 100)).top_decile_overlap == 1
    assert fidelity(model, 1 - model).top_decile_overlap == 0


@pytest.mark.parametrize("columns", [0, 1, 3])
@pytest.mark.parametrize("constant", [False, True])
def test_degenerate_input_stays_finite(columns: int, constant: bool) -> None:
    matrix, log_odds, user, held = model_and_windows(40)
    log_odds = np.full_like(log_odds, -1.25) if constant else log_odds
    surrogate = fit_surrogate(matrix[:, :columns], COLUMNS[:columns], log_odds, user, ~held, held, seed=0)
    contributions, base = surrogate.contributions(matrix[:, :columns])
    assert contributions.shape == (len(matrix), columns) and np.isfinite(contributions).all() and np.isfinite(base)
    assert (surrogate.r2 is None) == (constant or columns == 0)
    if constant:
        assert base == pytest.approx(-1.25) and (contributions == 0).all()


@pytest.mark.parametrize(("users", "windows"), [(1, 8), (300, 1)])
def test_no_fidelity_without_other_users_or_held_windows(users: int, windows: int) -> None:
    matrix, log_odds, user, held = model_and_windows(users, windows)
    held = held if users == 1 else np.zeros_like(held)
    surrogate = fit_surrogate(matrix, COLUMNS, log_odds, user, ~held, held, seed=0)
    assert (surrogate.r2, surrogate.spearman, surrogate.top_decile_overlap) == (None, None, None)
