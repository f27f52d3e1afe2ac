"""a run folder → one side of a comparison: its tables, what was asked of it, and what differs from another's."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

from tschurn import contracts as c
from tschurn.config import Experiment
from tschurn.errors import RunFolderError
from tschurn.reporting import configuration, finished_stages, flat, read_manifest, require
from tschurn.runs import StageFolder
from tschurn.targets import targets_and_notes

if TYPE_CHECKING:
    import pandas as pd

SIDES = ("a", "b")
# What makes a label, whatever is predicted from what: where one of these differs, the targets do.
LABEL = ("windows.outcome_days", "log.timezone", "log.naive_time", "targets.churn.events")
STICKER = ("targets.sticker.events", "targets.sticker.side", "targets.sticker.given", "log.stickers")
_ELIGIBLE = ("windows.observe_days", "windows.min_history_days", "windows.skip_outages")
_STAGES = ("log", "windows", "columns", "segments")
_STAGES_OF_TARGET = ("models", "explain")
_PLACES = ("path", "creators", "exclude", "facts")  # settings that say where a file lies


@dataclass(frozen=True)
class Side:
    """One of the two runs."""

    name: str
    folder: Path
    manifest: dict[str, Any]
    experiment: Experiment
    stages: Mapping[str, StageFolder]
    targets: list[str]
    windows: pd.DataFrame

    def table(self, stage: str, table: c.Table, **rows: str) -> pd.DataFrame:
        """A table of a stage; of a large one only the rows with these values are read. What an older version of tschurn
        did not know yet is null, where it may be."""
        frame = self.stages[stage].read(table, filters=[(k, "==", v) for k, v in rows.items()])
        missing = [column for column in table.columns if column not in frame]
        if needed := [column for column in missing if not table.columns[column].endswith("?")]:
            raise RunFolderError(
                f"{self.folder}: its table {table.name} has no {', '.join(needed)}; it is of another version of "
                "tschurn; run the experiment again"
            )
        return frame.assign(**dict.fromkeys(missing))

    @property
    def settings(self) -> dict[str, Any]:
        """The configuration by dotted key; of files and folders only the name."""
        config = self.experiment.model_dump(mode="json", by_alias=True)
        if not self.experiment.log.simulated:
            config.pop("simulation", None)
        found = dict(flat(config))
        places = [key for key in found if key.rpartition(".")[2] in _PLACES and isinstance(found[key], str)]
        return found | {key: PurePath(found[key]).name for key in places}


def side_of(folder: Path, name: str) -> Side:
    """A run folder → the run. Raises RunFolderError where there is none, or it has not ended."""
    manifest = read_manifest(folder)
    experiment = configuration(manifest, folder)
    stages = finished_stages(folder)
    targets, windows = [], None
    if "windows" in stages:
        windows = stages["windows"].read(c.WINDOWS)
        targets, _ = targets_and_notes(windows, experiment)
    require([*_STAGES, *(f"{stage}.{target}" for stage in _STAGES_OF_TARGET for target in targets)], stages, folder)
    return Side(name, folder, manifest, experiment, stages, targets, windows)


def names_of(*folders: Path) -> list[str]:
    """The last parts of the folders' paths, as many as tell the two apart."""
    for n in range(2, max(len(folder.parts) for folder in folders) + 1):
        names = ["/".join(folder.parts[-n:]) for folder in folders]
        if len(set(names)) == len(folders):
            break
    return names


def sides(a: Side, b: Side) -> Iterator[tuple[str, Side]]:
    """The two with their letters."""
    return zip(SIDES, (a, b), strict=True)


# --- what was asked -------------------------------------------------------------------------------
def about(side: Side) -> dict[str, Any]:
    """A run in numbers: its log, windows, test period, and list."""
    log = side.table("log", c.LOG_SUMMARY).iloc[0]
    tested = side.windows.loc[side.windows["split"] == "test", "anchor_day"]
    priority = side.table("segments", c.PRIORITY)
    return {
        "name": side.name,
        "experiment": side.experiment.experiment.name,
        "seed": side.experiment.experiment.seed,
        "finished": side.manifest.get("finished"),
        "commit": side.manifest.get("commit"),
        **{key: log[key] for key in ("rows_read", "rows", "users", "first_day", "last_day", "days")},
        "windows": {s: int((side.windows["split"] == s).sum()) for s in c.SPLITS},
        "test_first": tested.min() if len(tested) else None,
        "test_last": tested.max() if len(tested) else None,
        "anchor_day": priority["anchor_day"].max() if len(priority) else None,
        "scored": len(priority),
        "unscored": len(side.table("windows", c.UNSCORED)),
        "pseudonyms": side.experiment.list.pseudonyms,
    }


def differs(a: Side, b: Side) -> dict[str, Any]:
    """Settings, files and versions that are not the same in both; null where one has none."""
    versions = [{**(s.manifest.get("versions") or {}), "python": s.manifest.get("python")} for s in (a, b)]
    files = [_files(side) for side in (a, b)]
    return {
        "settings": _unequal(a.settings, b.settings),
        "files": _unequal(*files),
        "files_read": {s: len(f) for s, f in zip(SIDES, files, strict=True)},
        "versions": _unequal(*versions),
    }


def _files(side: Side) -> dict[str, Any]:
    """The data's files by name → size and a digest of their ends."""
    data = side.manifest.get("data") or []
    return {
        PurePath(str(f["path"])).name: {k: f.get(k) for k in ("size", "ends")}
        for f in ([data] if isinstance(data, Mapping) else data)
        if isinstance(f, Mapping) and "path" in f
    }


def _unequal(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[dict[str, Any]]:
    """What differs, in order; absent counts as null."""
    keys = dict.fromkeys([*a, *b])
    return [{"key": k, "a": a.get(k), "b": b.get(k)} for k in keys if a.get(k) != b.get(k)]


def differing(a: Side, b: Side, keys: tuple[str, ...]) -> list[str]:
    """The settings among `keys` that differ; a key stands for all below it."""
    within = tuple(f"{key}." for key in keys)
    return [
        row["key"] for row in _unequal(a.settings, b.settings) if row["key"] in keys or row["key"].startswith(within)
    ]


def warnings_of(a: Side, b: Side, found: Mapping[str, Any], same: Mapping[str, bool]) -> list[dict[str, Any]]:
    """Codes of what keeps figures from being compared, with what the sentence needs."""
    runs = {s: found[s] for s in SIDES}
    warnings: list[dict[str, Any]] = []

    def warn(code: str, **values: Any) -> None:
        warnings.append({"code": code, **values})

    if differing(a, b, ("experiment.name", "log.dataset")):
        warn("people")
    for target, run in ((t, s) for s, side in sides(a, b) for t in side.targets):
        if target not in found["targets"]:
            warn("target_missing", target=target, run=run)
    if keys := differing(a, b, LABEL):  # then nothing of the models can be compared, whatever else differs
        warn("definition", keys=keys)
    else:
        if not same["sticker"] and "sticker" in found["targets"]:
            warn("definition_sticker", keys=differing(a, b, STICKER))
        if keys := differing(a, b, _ELIGIBLE):
            warn("eligible", keys=keys)
        if found["differs"]["files"] or any(
            runs["a"][k] != runs["b"][k] for k in ("rows", "users", "first_day", "last_day")
        ):
            warn("log")
        if any(runs["a"][k] != runs["b"][k] for k in ("test_first", "test_last")):
            warn("test_period")
        if keys := differing(a, b, ("split",)):
            warn("split", keys=keys)
    if runs["a"]["anchor_day"] != runs["b"]["anchor_day"]:
        warn("anchor")
    if min(runs[s]["scored"] for s in SIDES) and not found["list"]["scored"]["both"]:
        warn("ids_pseudonyms" if runs["a"]["pseudonyms"] != runs["b"]["pseudonyms"] else "ids")
    return warnings
