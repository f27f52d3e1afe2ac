"""A run folder → the tables that its report is made from, and the report drawn from them; nothing is computed again.

The pipeline draws a report at the end of a run; `redraw` does the same for a run that has ended, from its folder alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tschurn import contracts as c
from tschurn.config import Columns, Experiment
from tschurn.errors import RunFolderError
from tschurn.runs import Run, StageFolder
from tschurn.targets import targets_and_notes
from tschurn.workers import EXPLANATIONS, PER_TARGET, of_origin

if TYPE_CHECKING:
    import pandas as pd

_PEOPLE = "scores"  # the file, with .parquet, that holds LIST in a run folder
PORTRAIT = (c.WEEKLY_RHYTHM, c.USER_ACTIVITY, c.ENGAGEMENT_PATHS)
LOG = (c.FILTERS, c.LOG_SUMMARY, c.EVENT_NAMES, c.REFUSED, c.PLATFORM_DAYS, c.QUALITY, c.FACTS)
SEGMENT_TABLES = (
    c.PRIORITY, c.THRESHOLD, c.THRESHOLDS, c.LIST_STABILITY, c.FIRMNESS, c.PLANE, c.COMPARISON, c.MATCHING, c.SUBGROUPS,
    c.DIVERGENCE, c.ECDF, c.RULES, c.RFM, c.RFM_TRANSITIONS, c.JOINT, c.BACKTEST, c.BACKTEST_SCORES, c.GAIN,
)  # fmt: skip
EXPLORED = (
    c.SEASONALITY, c.COHORTS, c.SURVIVAL, c.CENSUS, c.DECILES, c.PROCESS_SUMMARY, c.DIRECTLY_FOLLOWS,
    c.FOLLOWS_DIFFERENCE, c.VARIANTS, c.PATHS, c.PROCESS_MODEL,
)  # fmt: skip
# Of each stage, what the report shows; FACTS and REFUSED are people's own, and stay in the run folder.
_SHOWN = {
    "log": (c.FILTERS, c.LOG_SUMMARY, c.EVENT_NAMES, c.PLATFORM_DAYS, c.QUALITY),
    "exploration": EXPLORED,
    "windows": (c.FEATURES, c.WINDOWS, c.UNSCORED, c.EXCLUSIONS),
    "contacts": (c.CONTACTS_READ,),
    "columns": (c.FLAT_COLUMNS,),
    "value": (c.VALUE_MODEL,),
    "horizons": (c.SUFFICIENCY, c.RETURN_TIMES, c.ANOMALY, c.ANOMALY_CALIBRATION, c.ANOMALY_GAIN),
    "segments": SEGMENT_TABLES,
    "truth": (c.TRUTH_FIGURES, *PORTRAIT),
}
_SHOWN_PER_TARGET = {"models": PER_TARGET, "explain": EXPLANATIONS, "ablation": (c.ABLATION,)}
# Tables of the report in which single users stand: pseudonyms take the place of their ids, where the lists have such.
_NAMING = (
    c.PRIORITY, c.FIRMNESS, c.REASONS, c.ATTRIBUTION, c.LEVERS, c.ANOMALY, c.MONEY, c.USER_DAYS, c.PREDICTIONS,
)  # fmt: skip


@dataclass(frozen=True)
class Gathered:
    """What `report.build` asks for."""

    tables: dict[str, pd.DataFrame]
    notes: list[str]
    experiment: Experiment
    manifest: dict[str, Any]


def redraw(folder: Path, language: str | None = None) -> dict[str, Any]:
    """A finished run's folder → its index.html and report.json anew, in `language` if one is given; → the summary.

    Raises RunFolderError where the folder holds no finished run, or one of another version of tschurn.
    """
    from tschurn import report

    found = gathered(folder)
    with Run(folder):
        experiment = found.experiment if language is None else found.experiment.in_language(language)
        return report.build(found.tables, found.notes, experiment, found.manifest, folder)


def gathered(folder: Path) -> Gathered:
    """A finished run's folder → the tables, notes, experiment and manifest of its report.

    Raises RunFolderError where the folder holds no finished run, or one of another version of tschurn.
    """
    manifest = read_manifest(folder)
    experiment = configuration(manifest, folder)
    stages = finished_stages(folder)
    if "windows" not in stages:
        raise RunFolderError(f"{folder}: the run has not come as far as its windows; run the experiment again")
    refuse_damaged(["windows"], stages, folder, ".parquet")
    targets, notes = targets_and_notes(stages["windows"].read(c.WINDOWS), experiment)
    require(needed(targets), stages, folder)
    refuse_damaged(stages, stages, folder, ".parquet")
    origins = {t: _origins_of(stages, t) for t in targets}
    tables = report_tables(stages, experiment, targets, origins, folder)
    return Gathered(tables, notes, experiment, {k: manifest.get(k) for k in ("versions", "commit", "data")})


def configuration(manifest: Mapping[str, Any], folder: Path) -> Experiment:
    """The manifest of a run → its experiment. Raises RunFolderError where it is of another version of tschurn."""
    try:
        return _as_given(Experiment.model_validate(manifest["experiment"]))
    except (KeyError, ValueError) as error:
        raise RunFolderError(
            f"{folder / 'manifest.json'}: its configuration is of another version of tschurn ({_first(error)}); "
            "run the experiment again"
        ) from None


def flat(values: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Nested values, as a manifest has them → `section.key` and each."""
    for key, value in values.items():
        if isinstance(value, Mapping):
            yield from flat(value, f"{before}{key}.")
        else:
            yield f"{before}{key}", value


def _as_given(experiment: Experiment) -> Experiment:
    """A manifest has every key; of columns that a log may lack only those count as asked for that are not the usual."""

    def unusual(part: Any) -> Any:
        named = part.columns.model_dump()
        asked = {role: name for role, name in named.items() if name != Columns.model_fields[role].default}
        return part.model_copy(update={"columns": Columns(**asked)})

    log = unusual(experiment.log)
    others = {key: unusual(part) for key in ("received", "stickers") if (part := getattr(log, key)) is not None}
    return experiment.model_copy(update={"log": log.model_copy(update=others)})


def finished_stages(folder: Path) -> dict[str, StageFolder]:
    """The results of a run folder's stages by name."""
    return {path.name: StageFolder(path) for path in sorted((folder / "stages").glob("[!.]*")) if path.is_dir()}


def require(names: Iterable[str], stages: Mapping[str, StageFolder], folder: Path) -> None:
    """Raises RunFolderError where a run lacks the results of a stage."""
    missing = [name for name in names if name not in stages]
    if missing:
        raise RunFolderError(
            f"{folder}: the run has no results of {', '.join(missing)}; it has not ended, or is of another version "
            "of tschurn; run the experiment again"
        )


def refuse_damaged(names: Iterable[str], stages: Mapping[str, StageFolder], folder: Path, ending: str = "") -> None:
    """Raises RunFolderError where files of stages, those of the ending, are not as the run left them."""
    if wrong := [f"{name}/{file}" for name in names for file in stages[name].damaged(ending)]:
        raise RunFolderError(
            f"{folder / 'stages'}: not as the run left it: {', '.join(wrong)}; run the experiment again, which does "
            "again only what is damaged"
        )


def needed(targets: list[str]) -> list[str]:
    """The stages without which there is no report."""
    per_target = [f"{stage}.{target}" for stage in _SHOWN_PER_TARGET for target in targets]
    return ["log", "windows", "columns", "exploration", "horizons", "value", "segments", *per_target]


def report_tables(
    stages: Mapping[str, StageFolder],
    experiment: Experiment,
    targets: list[str],
    origins: Mapping[str, list[int]],
    folder: Path,
) -> dict[str, pd.DataFrame]:
    """Finished stages by name, and the folder with the lists → the tables of the report by name.

    Of what grows with users and windows only that of the users whom the report shows one by one is read.
    """
    from tschurn import report

    tables = {t.name: stages[name].read(t) for name, some in _SHOWN.items() if name in stages for t in some}
    for stage, some in _SHOWN_PER_TARGET.items():
        tables |= {t.name: _joined(stages, stage, targets, t) for t in some}
    tables[c.COLLINEARITY.name] = stages[f"explain.{targets[0]}"].read(c.COLLINEARITY)
    if experiment.split.kind == "rolling":
        tables[c.ORIGINS.name] = _all_origins(stages, experiment, targets, origins, tables[c.WINDOWS.name])
    tables[c.REASONS.name] = reasons_of_list(tables[c.REASONS.name], tables[c.PRIORITY.name])
    tables[c.LIST.name] = people_of(folder)
    money = stages["windows"].read(c.MONEY)
    tables[c.MONEY.name] = money[money["anchor_day"] == money["anchor_day"].max()]
    some = [("user_id", "in", set(report.users_shown(tables[c.PRIORITY.name])))]
    tables[c.USER_DAYS.name] = stages["windows"].read(c.USER_DAYS, filters=some)
    used = dict(zip(tables[c.TARGET_SUMMARY.name]["target"], tables[c.TARGET_SUMMARY.name]["used"], strict=True))
    tables[c.PREDICTIONS.name] = _concatenated(
        stages[f"models.{t}"].read(c.PREDICTIONS, filters=[*some, ("model", "==", used[t])]) for t in targets
    )
    return _hidden(tables) if experiment.list.pseudonyms else tables


def reasons_of_list(reasons: pd.DataFrame, priority: pd.DataFrame) -> pd.DataFrame:
    """REASONS and PRIORITY → those of the windows that the list is made of; a simulated log has others as well."""
    return reasons[reasons["anchor_day"] == priority["anchor_day"].max()]


def names_of_list(priority: pd.DataFrame, people: pd.DataFrame) -> dict[Any, Any]:
    """PRIORITY and LIST → ids as the former has them: as the latter tells them, which may be pseudonyms."""
    told = people.set_index("rank")["user_id"].reindex(priority["rank"])
    return dict(zip(priority["user_id"], told, strict=True))


def _all_origins(
    stages: Mapping[str, StageFolder], experiment: Experiment, targets: list[str], origins: Mapping[str, list[int]],
    windows: pd.DataFrame,
) -> pd.DataFrame:  # fmt: skip
    """ORIGINS: the earlier ones as they were measured, and the last one."""
    last = experiment.split.origins
    parts = [of_origin(stages[f"models.{t}"].read(c.METRICS), windows, last) for t in targets]
    return _concatenated([*parts, *(stages[f"origins.{t}.{k}"].read(c.ORIGINS) for t in targets for k in origins[t])])


def _origins_of(stages: Mapping[str, StageFolder], target: str) -> list[int]:
    start = f"origins.{target}."
    return sorted(int(name.removeprefix(start)) for name in stages if name.startswith(start))


def _hidden(tables: dict[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """The tables with the pseudonyms of LIST in place of the ids of PRIORITY; users without one are left out."""
    names = names_of_list(tables[c.PRIORITY.name], tables[c.LIST.name])
    for table in _NAMING:
        frame = tables.get(table.name)
        if frame is not None:
            hidden = frame.assign(user_id=frame["user_id"].map(names).astype("str"))
            tables[table.name] = hidden[frame["user_id"].isin(names).to_numpy()]
    return tables


def people_of(folder: Path) -> pd.DataFrame:
    """LIST as the run wrote it."""
    import pandas as pd

    try:
        return pd.read_parquet(folder / f"{_PEOPLE}.parquet")
    except (OSError, ValueError) as error:
        raise RunFolderError(
            f"{folder / _PEOPLE}.parquet: cannot be read ({_first(error)}); run the experiment again"
        ) from None


def _joined(stages: Mapping[str, StageFolder], stage: str, targets: list[str], table: c.Table) -> pd.DataFrame:
    return _concatenated(stages[f"{stage}.{target}"].read(table) for target in targets)


def _concatenated(frames: Any) -> pd.DataFrame:
    import pandas as pd

    return pd.concat(list(frames), ignore_index=True)


def read_manifest(folder: Path) -> dict[str, Any]:
    """manifest.json of a finished run. Raises RunFolderError where there is none."""
    try:
        found = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise RunFolderError(
            f"{folder}: no finished run here (it has no manifest.json); give a run folder such as "
            "reports/complete_journey/latest"
        ) from None
    except (OSError, ValueError) as error:
        raise RunFolderError(f"{folder / 'manifest.json'}: cannot be read ({_first(error)})") from None
    if not isinstance(found, dict):
        raise RunFolderError(f"{folder / 'manifest.json'}: cannot be read (expected an object)")
    return found


def _first(error: Exception) -> str:
    return str(error).splitlines()[0] if str(error) else type(error).__name__
