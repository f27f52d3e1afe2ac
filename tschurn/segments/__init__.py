"""SCORES + what is known of users → PRIORITY, COMPARISON, BACKTEST, ...: who first, why those, would it have paid.

`stage` computes all tables in order, each by a module of its own; `export` writes the lists that people work with.
Nothing heavy is imported before it is needed.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from tschurn.contracts import Progress, silent

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import pandas as pd

    from tschurn.config import Experiment


def segment(
    tables: Mapping[str, pd.DataFrame], profile: pd.DataFrame, experiment: Experiment, progress: Progress = silent
) -> dict[str, pd.DataFrame]:
    """Tables of the stages before, by name, and PROFILE → the stage's tables by name, all of contracts.segments that
    are not made elsewhere.

    tables: SCORES, OUT_OF_TIME, PREDICTIONS, TARGET_SUMMARY and SEED_SCORES of all targets; FEATURES, USER_DAYS, MONEY,
    FACTS, LOG_SUMMARY, EXPECTED_VALUES. Raises ContractError when the targets, or the profile, are of different users.
    """
    from tschurn.segments import stage

    return stage.segment(tables, profile, experiment, progress)


def check(features: pd.DataFrame, experiment: Experiment) -> None:
    """FEATURES → nothing; ConfigError where [actions] or [profiles] name what is no feature of this log, or where
    pseudonyms are asked for without a key."""
    from tschurn.segments import actions, distributions, pseudonyms

    distributions.check(features, experiment)
    actions.check(experiment.actions, features["feature"])
    if experiment.list.pseudonyms:
        pseudonyms.secret()


def list_again(tables: Mapping[str, pd.DataFrame], experiment: Experiment) -> tuple[pd.DataFrame, pd.DataFrame]:
    """SCORES, EXPECTED_VALUES, MONEY and SEED_SCORES of users scored by a finished run, its THRESHOLD → PRIORITY and
    FIRMNESS: who first, by the threshold as it is."""
    from tschurn.segments import again

    return again.list_again(tables, experiment)


def told_of(
    users: pd.DataFrame,
    reasons: pd.DataFrame | None,
    profile: pd.DataFrame,
    money: pd.DataFrame,
    experiment: Experiment,
) -> pd.DataFrame:
    """user_id and anchor_day of users, REASONS, PROFILE, MONEY → TOLD: what the lists tell of each of them, whoever
    else is on them."""
    from tschurn.segments.told import told_of

    return told_of(users, reasons, profile, money, experiment)


def write_lists(
    priority: pd.DataFrame,
    told: pd.DataFrame,
    firmness: pd.DataFrame | None,
    experiment: Experiment,
    folder: Path,
    resting: pd.Series | None = None,
) -> pd.DataFrame:
    """PRIORITY + TOLD + FIRMNESS → the lists for callers in `folder`, as CSV and as Parquet; → LIST, what they are
    made of."""
    from tschurn.segments import export

    people = export.list_table(priority, told, firmness, experiment, resting)
    export.write_people(people, experiment, folder)
    return people


def write_unscored(unscored: pd.DataFrame, experiment: Experiment, folder: Path) -> None:
    """UNSCORED → unscored.csv in `folder`: who could not be scored and why, those who acted last first."""
    from tschurn.segments import export

    export.write_unscored(unscored, experiment, folder)


def write_csv(frame: pd.DataFrame, path: Path) -> None:
    """A frame → a CSV file for a spreadsheet, as the lists are: whole or not at all, without formulas."""
    from tschurn.segments import export

    export.write_csv(frame, path)


def counts(people: pd.DataFrame, experiment: Experiment) -> dict[str, int]:
    """LIST → how many of the priority group are to be called, are held out, and rest."""
    from tschurn.segments import export

    return export.counts(people, experiment)


def who_rests(contacts: pd.DataFrame | None, priority: pd.DataFrame, experiment: Experiment) -> pd.Series | None:
    """CONTACTS (None: no [contacts]) + PRIORITY → user_id of those contacted too lately to be on the list."""
    if contacts is None or experiment.contacts is None or priority.empty:
        return None
    from tschurn.segments.resting import resting

    return resting(contacts, priority["anchor_day"].iloc[0], experiment.contacts.cooldown_days)


def hiding(wanted: bool) -> tuple[Callable[[pd.Series], pd.Series] | None, str | None]:
    """Whether pseudonyms are wanted → what makes them of ids, each once or not, and a digest of its key; else None."""
    if not wanted:
        return None, None
    from tschurn.segments.pseudonyms import pseudonyms, secret

    key = secret()

    def hide(ids: pd.Series) -> pd.Series:
        once = ids.drop_duplicates()
        return ids.map(dict(zip(once, pseudonyms(once, key), strict=True)))

    return hide, hashlib.sha256(key).hexdigest()
