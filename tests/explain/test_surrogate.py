"""surrogate.py: fidelity is honest, contributions are exact, nothing breaks on degenerate input."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy import stats
from sklearn.metrics import r2_score

from tschurn.contracts import RELIABLE_R2
from tschurn.explain.surrogate import choose_columns, fidelity, fit_surrogate, reliable

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
    np.testing.assert_allclose(surrogate.predict(matrix), contributions.sum(axis=1) + base, atol=1e-6)
    assert surrogate.spread == pytest.approx(log_odds[held].std())


def test_fidelity_is_measured_on_users_not_seen() -> None:
    """The model's log-odds are a trait of the user, told by a column that identifies users and nothing else.

    Trees that had seen the user's other windows would imitate well; on new users they cannot.
    """
    rng = np.random.default_rng(0)
    user = np.repeat(np.arange(200), 8)
    trait, held = rng.normal(size=200)[user], np.tile(np.arange(8) >= 6, 200)
    name = rng.permutation(200)[user, None].astype(np.float32)
    for fit in (~held, np.ones_like(held)):  # windows at the anchors of test may be learned from: of other users
        surrogate = fit_surrogate(name, ["name"], trait, user, fit, held, seed=0)
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
    assert np.isfinite(surrogate.predict(matrix[:, :columns])).all()
    stands = reliable(surrogate, matrix[:, :columns], log_odds)
    assert stands.shape == (len(matrix),) and stands.dtype == bool and (surrogate.r2 is not None or not stands.any())
    assert (
        choose_columns(matrix, COLUMNS, COLUMNS[:columns], np.full(len(matrix), 2.0), user, held, seed=0)
        == (COLUMNS[:columns])
    )
    if constant:
        assert base == pytest.approx(-1.25) and (contributions == 0).all()


@pytest.mark.parametrize(("users", "windows"), [(1, 8), (300, 1)])
def test_no_fidelity_without_other_users_or_held_windows(users: int, windows: int) -> None:
    matrix, log_odds, user, held = model_and_windows(users, windows)
    held = held if users == 1 else np.zeros_like(held)
    surrogate = fit_surrogate(matrix, COLUMNS, log_odds, user, ~held, held, seed=0)
    assert (surrogate.r2, surrogate.spearman, surrogate.top_decile_overlap) == (None, None, None)


def partly_hidden(seed: int = 0) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """values of four columns, a linear model's log-odds, users, where the fourth, which is mostly 0, acts."""
    rng = np.random.default_rng(seed)
    user = np.repeat(np.arange(400), 5)
    matrix = rng.normal(size=(2000, 4)).astype(np.float32)
    acts = rng.random(2000) < 0.1
    matrix[:, 3] = np.where(acts, 3.0, 0.0)
    return matrix, matrix @ np.array([2.0, -1.5, 1.0, 1.0]), user, acts


def test_windows_where_the_model_looks_elsewhere_are_not_reliable() -> None:
    """The surrogate lacks the fourth column: where that acts, its reasons are not the model's."""
    matrix, log_odds, user, acts = partly_hidden()
    held = np.arange(2000) % 5 == 4
    surrogate = fit_surrogate(matrix[:, :3], list("abc"), log_odds, user, ~held, held, seed=0)
    assert surrogate.r2 > RELIABLE_R2
    stands = reliable(surrogate, matrix[held, :3], log_odds[held])
    assert stands[~acts[held]].mean() > 0.8
    assert stands[acts[held]].mean() < 0.1


def test_what_reliable_windows_are_told_is_nearer_to_the_model() -> None:
    """Of a linear model the SHAP values are known: coefficient times distance from the mean."""
    matrix, log_odds, user, _ = partly_hidden(1)
    held = np.arange(2000) % 5 == 4
    surrogate = fit_surrogate(matrix[:, :3], list("abc"), log_odds, user, ~held, held, seed=0)
    true = np.array([2.0, -1.5, 1.0, 1.0]) * (matrix - matrix.mean(axis=0))
    told = np.column_stack([surrogate.contributions(matrix[:, :3])[0], np.zeros(2000)])
    off = np.abs(told - true).sum(axis=1)[held]
    stands = reliable(surrogate, matrix[held, :3], log_odds[held])
    assert off[stands].mean() < 0.6 * off[~stands].mean()


def test_reasons_smaller_than_what_they_leave_out_are_not_reliable() -> None:
    matrix, log_odds, user, held = model_and_windows()
    surrogate = fit_surrogate(matrix, COLUMNS, log_odds, user, ~held, held, seed=1)
    strongest = np.abs(surrogate.contributions(matrix)[0]).max(axis=1)
    small = np.argsort(strongest)[:20]
    imitated = surrogate.predict(matrix[small])
    assert strongest[small].max() < 0.4 * surrogate.spread  # near enough, on the whole's scale
    assert not reliable(surrogate, matrix[small], imitated + 1.05 * strongest[small]).any()
    assert reliable(surrogate, matrix[small], imitated - 0.95 * strongest[small]).all()


def test_the_days_of_a_feature_are_one_reason() -> None:
    matrix, log_odds, user, held = model_and_windows()
    surrogate = fit_surrogate(matrix, COLUMNS, log_odds, user, ~held, held, seed=1)
    pushes, feature = surrogate.contributions(matrix)[0], pd.Series(["a", "b", "a"])
    together = np.maximum(np.abs(pushes[:, 0] + pushes[:, 2]), np.abs(pushes[:, 1]))
    apart = np.abs(pushes).max(axis=1)
    between = surrogate.predict(matrix) + (together + apart) / 2
    near = (np.abs(together - apart) > 1e-6) & ((together + apart) / 2 < 0.4 * surrogate.spread)
    assert near.sum() > 20
    np.testing.assert_array_equal(reliable(surrogate, matrix, between)[near], (apart > together)[near])
    np.testing.assert_array_equal(
        reliable(surrogate, matrix, between, features=feature)[near], (together > apart)[near]
    )


def test_under_the_bar_no_window_is_reliable() -> None:
    rng = np.random.default_rng(2)
    matrix, log_odds, user, held = model_and_windows()
    noisy = log_odds + 2.5 * rng.normal(size=len(log_odds))
    surrogate = fit_surrogate(matrix, COLUMNS, noisy, user, ~held, held, seed=1)
    assert 0 < surrogate.r2 < RELIABLE_R2
    assert not reliable(surrogate, matrix, surrogate.predict(matrix)).any()


def wide(users: int = 250) -> tuple[np.ndarray, list[str], np.ndarray, np.ndarray, np.ndarray]:
    """values of 12 columns, names, log-odds made of columns 0 and 7, users, which windows are held."""
    rng = np.random.default_rng(3)
    user = np.repeat(np.arange(users), 6)
    matrix = rng.normal(size=(len(user), 12)).astype(np.float32)
    log_odds = matrix[:, 0] + 1.5 * matrix[:, 7].astype(float)
    return matrix, [f"c{i}" for i in range(12)], log_odds, user, np.tile(np.arange(6) >= 4, users)


@pytest.mark.parametrize("selected", [["c0"], ["c3", "c0"], []])
def test_columns_that_the_model_uses_are_added_where_the_selected_ones_do_not_suffice(selected: list[str]) -> None:
    matrix, columns, log_odds, user, held = wide()
    chosen = choose_columns(matrix, columns, selected, log_odds, user, held, seed=0)
    assert chosen[: len(selected)] == selected and len(chosen) == len(selected) + 4
    assert chosen[len(selected)] == "c7" and len(set(chosen)) == len(chosen)
    assert chosen == choose_columns(matrix, columns, selected, log_odds, user, held, seed=0)


def test_columns_that_suffice_are_left_as_they_are() -> None:
    matrix, columns, log_odds, user, held = wide()
    assert choose_columns(matrix, columns, ["c7", "c0"], log_odds, user, held, seed=0) == ["c7", "c0"]


def test_columns_that_explain_little_of_what_is_left_are_not_worth_having() -> None:
    """Over the bar; what is left is spread over 24 columns, so that four explain a sixth of it and eight a third."""
    rng = np.random.default_rng(5)
    user = np.repeat(np.arange(500), 6)
    matrix = rng.normal(size=(3000, 25)).astype(np.float32)
    log_odds = 3 * matrix[:, 0] + (0.2 * np.sign(matrix[:, 1:])).sum(axis=1)
    columns, held = [f"c{i}" for i in range(25)], np.tile(np.arange(6) >= 3, 500)
    assert choose_columns(matrix, columns, ["c0"], log_odds, user, held, seed=0) == ["c0"]
    assert len(choose_columns(matrix[:, :7], columns[:7], ["c0"], log_odds, user, held, seed=0)) == 1
    few = 3 * matrix[:, 0] + (0.5 * np.sign(matrix[:, 1:5])).sum(axis=1)
    assert set(choose_columns(matrix, columns, ["c0"], few, user, held, seed=0)) == {"c0", "c1", "c2", "c3", "c4"}


def test_columns_are_chosen_by_users_that_the_trees_have_not_seen() -> None:
    """A column that identifies users explains them perfectly once seen, and nothing of the others."""
    rng = np.random.default_rng(4)
    user = np.repeat(np.arange(200), 6)
    trait, seen = rng.normal(size=200)[user], rng.normal(size=1200)
    name = rng.permutation(200)[user]
    matrix = np.column_stack([seen, name, rng.normal(size=1200)]).astype(np.float32)
    held = np.tile(np.arange(6) >= 4, 200)
    assert choose_columns(matrix, list("abc"), ["a"], 2.5 * seen + trait, user, held, seed=0) == ["a"]
