"""past lists + the log as it is now → what happened, and what contacting did: the stages that `follow-up` needs.

No run folder is needed: the lists say who was scored when, the experiment how its log is read and what churn is.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tschurn import contracts as c
from tschurn.config import Experiment
from tschurn.contracts import Progress, silent
from tschurn.errors import ConfigError, ListError

if TYPE_CHECKING:
    import pandas as pd

KEYS = ["user_id", "anchor_day"]


def follow_up(
    experiment: Experiment, lists: Sequence[Path], out: Path, progress: Progress = silent
) -> tuple[dict[str, Any], list[str]]:
    """Lists (and scores) of an experiment, whose [log] now reaches beyond them → follow_up.json and follow_up.html in
    `out`; → the former, and the same in a few sentences.

    Raises UserError for what the user can mend: a list or a log that cannot be read, ids that do not fit, no list whose
    outcome is known yet.
    """
    from tschurn import report
    from tschurn.segments import followed, past_lists

    if experiment.log.simulated:
        raise ConfigError("the log of a simulated platform ends with its run; give a longer one with --log PATH")
    rows = past_lists.read_lists(lists, experiment.windows.outcome_days)
    rows, outcomes, summary = _outcomes(rows, experiment, progress)
    group, everybody = past_lists.followed(rows)
    group, everybody = (_with_outcomes(part, outcomes, experiment) for part in (group, everybody))
    told = _statuses(group, summary, experiment)
    closed = group[group["status"] == "closed"]
    if closed.empty:
        raise ListError(_nothing_closed(told, summary, experiment))
    progress("follow-up", 0.9, 1, "comparing")
    found = followed.results(closed, everybody[everybody["status"] == "closed"], experiment)
    found = {
        "experiment": experiment.experiment.name,
        "language": experiment.experiment.language,
        "outcome_days": experiment.windows.outcome_days,
        "log": {key: summary[key].iloc[0].isoformat() for key in ("first_day", "last_day")},
        "read": told,
        **found,
    }
    sentences = report.build_follow_up(found, out)
    progress("follow-up", 1, 1)
    return found, sentences


def _outcomes(
    rows: pd.DataFrame, experiment: Experiment, progress: Progress
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    """Rows of lists → the same with the log's ids, LIST_OUTCOMES of those that it has, and LOG_SUMMARY."""
    from tschurn import events, features
    from tschurn.segments import past_lists

    with tempfile.TemporaryDirectory(prefix="tschurn-") as temporary:
        folder = Path(temporary)
        summary = events.read_log(experiment, folder, progress)["log_summary"]
        progress("follow-up", 0.5, 1, "outcomes")
        with events.open_daily(experiment, folder) as acts:
            users = acts.select("user_id").distinct().order_by("user_id").to_pyarrow()["user_id"].to_pandas()
            rows = past_lists.identified(rows, users, _pseudonyms())
            known = rows.loc[rows["known"], KEYS].drop_duplicates().astype({"user_id": users.dtype})
            found = features.outcomes_of(acts, known, summary, experiment)
    c.LIST_OUTCOMES.check(found)
    return rows, found, summary


def _pseudonyms() -> Callable[[pd.Series], pd.Series] | None:
    """Ids → pseudonyms, where the environment has a key for them."""
    from tschurn.segments import pseudonyms

    if not os.environ.get(pseudonyms.KEY_VARIABLE):
        return None
    key = pseudonyms.secret()
    return lambda ids: pseudonyms.pseudonyms(ids, key)


def _with_outcomes(part: pd.DataFrame, outcomes: pd.DataFrame, experiment: Experiment) -> pd.DataFrame:
    """Listed users → with status, churned, sticker, and whether they were contacted in the outcome."""
    import pandas as pd

    part, outcomes = (frame.astype({"user_id": object}) for frame in (part, outcomes))
    part = part.merge(outcomes, on=KEYS, how="left")
    anchor = pd.to_datetime(part["anchor_day"])
    last = anchor + pd.Timedelta(days=experiment.windows.outcome_days)
    day = pd.to_datetime(part["contacted_on"])
    return part.assign(status=part["status"].fillna("unknown"), contacted=(day > anchor) & (day <= last))


def _statuses(group: pd.DataFrame, summary: pd.DataFrame, experiment: Experiment) -> list[dict[str, Any]]:
    """The group → per list: its files, how many were listed, and of how many the outcome is known; else why not."""
    import pandas as pd

    found = []
    for day, part in group.groupby("anchor_day", sort=True):
        counts = part["status"].value_counts()
        ends = (pd.Timestamp(day) + pd.Timedelta(days=experiment.windows.outcome_days)).date()
        found.append(
            {
                "anchor_day": day.isoformat(),
                "ends": ends.isoformat(),
                "files": sorted(part["file"].unique().tolist()),
                "listed": len(part),
                **{s: int(counts.get(s, 0)) for s in ("closed", "open", "before", "unknown", "inactive")},
                "strangers": part.loc[part["status"] == "unknown", "written"].head(3).tolist(),
            }
        )
    return found


def _nothing_closed(told: list[dict[str, Any]], summary: pd.DataFrame, experiment: Experiment) -> str:
    first, last = (summary[key].iloc[0] for key in ("first_day", "last_day"))
    day, ends = told[0]["anchor_day"], told[0]["ends"]
    observed = f"the {experiment.windows.observe_days} days up to {day}"
    if any(row["before"] for row in told):
        return (f"the log begins on {first}, after the first of {observed} that the list was made from; give one that "
                "holds those as well, to see that it is of the same users")  # fmt: skip
    if any(row["open"] for row in told):
        return (f"the log ends on {last}, and what happened after {day} is known on {ends} at the earliest; follow up "
                "with a log that reaches so far (--log PATH)")  # fmt: skip
    return f"no user of the list has an act of their own in {observed} in this log; is it the log that the list is of?"
