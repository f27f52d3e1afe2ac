"""a model that can be asked → what it says without a surrogate: ATTRIBUTION and its tables, LEVERS, agreement.

How much is asked is bounded, since a question is hundreds of answers of the model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import pandas as pd
from scipy import stats

from tschurn.config import Experiment
from tschurn.contracts import Mixable, Windows
from tschurn.explain import attribution as a
from tschurn.explain.levers import levers

DAYS_OF = 1_000  # scored windows whose days are attributed, those most likely first
GROUPS_OF = 200  # windows whose groups are
CELLS_OF = 10  # of those most likely
PAIRS = 16  # orders, and their reverses
CHECKED = 100  # test windows on which the surrogate is held against the model
# A move of the model's answer under this share of its spread has no direction.
LEAST_MOVE = 0.05


@dataclass(frozen=True)
class Asked:
    """A model that answers for any windows, and its calibration."""

    name: str
    predict: a.Predict
    calibrate: a.Calibrate


@dataclass(frozen=True)
class Agreement:
    """How far a surrogate says what its model does; None where that cannot be said.

    direction: share of moves of one group of features to those of another user, of those that move the model, in which
    the surrogate moves the same way. attribution: mean rank correlation, over windows, of what both attribute to the
    groups in the same game. strongest: share of windows in which both name the same group as the weightiest.
    """

    direction: float | None = None
    attribution: float | None = None
    strongest: float | None = None

    def row(self) -> dict[str, float | None]:
        """→ its columns of SURROGATES."""
        return {f"{name}_agreement": value for name, value in asdict(self).items()}


def direct_tables(
    windows: Mixable, asked: Asked, log_odds: np.ndarray, order: list[str], score_rows: np.ndarray, target: str,
    experiment: Experiment, progress: Callable[[float], None] = lambda _: None,
) -> dict[str, pd.DataFrame]:  # fmt: skip
    """Windows, a model, its answers to them [windows], features in order of importance, the scored windows →
    "attribution", "attribution_games", "players", "levers".

    Days are attributed for the scored windows at the newest anchor, groups for a sample of all scored windows, cells
    for the most likely ones.
    """
    settings, threads, seed = experiment.explain, experiment.run.threads, experiment.experiment.seed
    groups = windows.groups(order, settings.groups)
    others = _background(windows, log_odds, experiment)
    anchors = windows.index["anchor"].to_numpy()
    newest = score_rows[anchors[score_rows] == anchors[score_rows].max(initial=-1)]
    likely = newest[np.argsort(-log_odds[newest], kind="stable")]
    some = np.sort(np.random.default_rng([seed, 9]).permutation(score_rows)[:GROUPS_OF])
    names = groups.table["group"].tolist()
    given = windows, groups, asked.predict, asked.calibrate
    games = {
        "days": (
            likely[:DAYS_OF],
            a.attribute(*given, likely[:DAYS_OF], others, a.day_players(windows.observe_days), threads=threads,
                        done=lambda share: progress(0.6 * share)),
        ),
        "groups": (
            some,
            a.attribute(*given, some, others, a.group_players(names, windows.observe_days), threads=threads,
                        done=lambda share: progress(0.6 + 0.2 * share)),
        ),
        "cells": (
            likely[:CELLS_OF],
            a.attribute_sampled(*given, likely[:CELLS_OF], others, a.cell_players(names, windows.observe_days),
                                pairs=PAIRS, seed=seed, threads=threads),
        ),
    }  # fmt: skip
    progress(0.9)
    moved = levers(windows, settings.levers, asked.predict, asked.calibrate, newest, _train(windows), threads=threads)
    tables = {
        "attribution": pd.concat([_rows(windows, g, rows, of) for g, (rows, of) in games.items()], ignore_index=True),
        "attribution_games": pd.DataFrame(
            [
                {
                    "game": game, "model": asked.name, "background": settings.background,
                    "references": len(others) if settings.background == "typical" else 0, "windows": len(rows),
                    "players": len(of.players), "gap": of.gap,
                    "unfaithful": float(np.abs(of.full - log_odds[rows]).max(initial=0.0)),
                }
                for game, (rows, of) in games.items()
            ]
        ),
        "players": pd.concat(
            [_players("days", games["days"][1], _day_labels), _players("groups", games["groups"][1],
             lambda names: groups.table.set_index("group").loc[names, ["label_en", "label_ko"]].to_numpy().T)],
            ignore_index=True,
        ),
        "levers": moved,
    }  # fmt: skip
    for table in tables.values():
        table.insert(0, "target", target)
    return tables


def agreement(
    windows: Mixable, model: a.Predict, surrogate: a.Predict, spread: float, rows: np.ndarray, order: list[str],
    experiment: Experiment,
) -> Agreement:  # fmt: skip
    """Windows at `rows` and the spread of the model's log-odds → how far its surrogate agrees with it."""
    seed, threads = experiment.experiment.seed, experiment.run.threads
    if len(rows) < 2 or not spread > 0:
        return Agreement()
    groups = windows.groups(order, experiment.explain.groups)
    players = a.group_players(groups.table["group"].tolist(), windows.observe_days)
    random = np.random.default_rng([seed, 10])
    other = rows[random.permutation(len(rows))]
    every = np.concatenate([[players.cells.sum(axis=0)], players.cells.sum(axis=0) - players.cells])
    moves = []
    for predict in (model, surrogate):
        mixed = windows.mixed(
            groups, np.repeat(rows, len(every)), np.repeat(other, len(every)), np.tile(every, (len(rows), 1))
        )
        answers = predict(mixed).reshape(len(rows), len(every))
        moves.append(answers[:, 1:] - answers[:, :1])
    counts = np.abs(moves[0]) > LEAST_MOVE * spread
    direction = float((np.sign(moves[0]) == np.sign(moves[1]))[counts].mean()) if counts.any() else None
    both = [
        a.attribute(windows, groups, predict, lambda x: x, rows, other[:1], players, threads=threads).log_odds
        for predict in (model, surrogate)
    ]
    ranks = [stats.rankdata(values, axis=1) - (len(players) + 1) / 2 for values in both]
    scale = np.sqrt((ranks[0] ** 2).sum(axis=1) * (ranks[1] ** 2).sum(axis=1))
    alike = (ranks[0] * ranks[1]).sum(axis=1)[scale > 0] / scale[scale > 0]
    same = np.equal(*(np.abs(values).argmax(axis=1) for values in both))[scale > 0]
    return Agreement(direction, *(float(values.mean()) if len(values) else None for values in (alike, same)))


def _background(windows: Windows, log_odds: np.ndarray, experiment: Experiment) -> np.ndarray:
    if experiment.explain.background == "nothing":
        return np.array([a.NOTHING])
    return a.background(log_odds, _train(windows), experiment.explain.references)


def _train(windows: Windows) -> np.ndarray:
    return np.flatnonzero(windows.index["split"] == "train")


def _rows(windows: Windows, game: str, rows: np.ndarray, of: a.Attribution) -> pd.DataFrame:
    """One row per window and player, window by window."""
    whose = windows.index[["user_id", "anchor_day"]].iloc[np.repeat(rows, len(of.players))].reset_index(drop=True)
    error = np.full(of.log_odds.shape, np.nan) if of.error is None else of.error
    return whose.assign(
        game=game, player=pd.Series(np.tile(np.array(of.players.names, dtype=object), len(rows)), dtype="str"),
        log_odds=of.log_odds.ravel(), probability=of.probability.ravel(), error=error.ravel(),
        base=np.repeat(of.base, len(of.players)), full=np.repeat(of.full, len(of.players)),
    )  # fmt: skip


def _players(game: str, of: a.Attribution, labels: Callable[[list[str]], tuple[list[str], list[str]]]) -> pd.DataFrame:
    english, korean = labels(of.players.names)
    some = len(of.log_odds) > 0
    return pd.DataFrame(
        {
            "game": game,
            "player": of.players.names,
            "label_en": english,
            "label_ko": korean,
            "importance": np.abs(of.log_odds).mean(axis=0) if some else 0.0,
            "importance_probability": np.abs(of.probability).mean(axis=0) if some else 0.0,
            "mean": of.log_odds.mean(axis=0) if some else 0.0,
        }
    )


def _day_labels(names: list[str]) -> tuple[list[str], list[str]]:
    """Days up to the anchor, as names of players → what people call them."""
    english, korean = [], []
    for name in names:
        ago = [-int(day) for day in name.split("..")] if name != a.BEFORE else []
        if not ago:
            labels = "all that came before", "그 이전 전체"
        elif ago == [0]:
            labels = "last day", "마지막 날"
        elif len(ago) == 1:
            labels = f"{ago[0]} days before" if ago[0] > 1 else "the day before", f"{ago[0]}일 전"
        else:
            labels = f"{ago[0]} to {ago[-1]} days before", f"{ago[0]}~{ago[-1]}일 전"
        english.append(labels[0])
        korean.append(labels[1])
    return english, korean
