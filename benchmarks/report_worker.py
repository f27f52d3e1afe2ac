"""A run and a number of windows → the report's tables at that size; those tables → a report. Each in a fresh process.

    python report_worker.py tables RUN WINDOWS FOLDER
    python report_worker.py build FOLDER

Users are drawn, or copied under new ids, in every table that names users; aggregates stay as they are.
"""

from __future__ import annotations

import json
import pickle
import resource
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd

from tschurn import report
from tschurn.contracts import WINDOWS
from tschurn.reporting import gathered
from tschurn.runs import StageFolder
from tschurn.workers import open_windows

TABLES, PEERS, FEATURES = "tables.pickle", "windows.parquet", 30


def scaled(run: Path, wanted: int, folder: Path) -> dict[str, float]:
    """A finished run → folder/TABLES, and folder/PEERS with the same windows; → how many there are."""
    found = gathered(run)
    if found.experiment.list.pseudonyms:
        sys.exit("a run whose lists hold pseudonyms cannot be copied: its tables name the same user differently")
    copies = _copies(found.tables[WINDOWS.name], wanted)
    tables = {name: _of(frame, copies) for name, frame in found.tables.items()}
    with (folder / TABLES).open("wb") as file:
        pickle.dump((tables, found.notes, found.experiment, found.manifest), file)

    windows = open_windows(StageFolder(run / "stages" / "windows"), found.experiment)
    closed = windows.index.assign(position=np.arange(len(windows.index)))[windows.index["closed"].to_numpy()]
    rows = closed.merge(copies, on="user_id")["position"].to_numpy()
    profile = windows.profile(np.unique(rows))
    columns = [name for name in profile if name.startswith("history:") and not name.startswith("history:sum:")]
    table = profile[columns[:FEATURES]].iloc[np.searchsorted(np.unique(rows), rows)].reset_index(drop=True)
    table.columns = [name.replace(":", "_") for name in table]  # LightGBM takes no colons
    table["churned"] = windows.index["churned"].to_numpy(np.int64, na_value=0)[rows]
    table.to_parquet(folder / PEERS)
    return {"windows": len(tables[WINDOWS.name]), "users": len(copies), "peers": len(table)}


def _copies(windows: pd.DataFrame, wanted: int) -> pd.DataFrame:
    """WINDOWS → user_id and their new id, of users who together have about `wanted` windows; the first keep theirs."""
    each = windows.groupby("user_id", sort=True).size().sample(frac=1, random_state=0)
    whole, rest = divmod(wanted, len(windows))
    some = each.index[each.cumsum() <= rest]
    parts = [(each.index, copy) for copy in range(whole)] + [(some, whole)]
    copies = pd.concat([pd.DataFrame({"user_id": users, "copy": copy}) for users, copy in parts], ignore_index=True)
    if pd.api.types.is_integer_dtype(copies["user_id"]):
        new = copies["user_id"] + copies["copy"] * (int(copies["user_id"].max()) + 1)
    else:
        new = copies["user_id"].where(copies["copy"] == 0, copies["user_id"] + "+" + copies["copy"].astype("str"))
    return copies.assign(new=new)[["user_id", "new"]]


def _of(frame: pd.DataFrame, copies: pd.DataFrame) -> pd.DataFrame:
    """A table of the report → the same of these copies; ranks and positions of users are counted anew."""
    if "user_id" not in frame:
        return frame
    found = frame.merge(copies, on="user_id")
    found["user_id"] = found["new"]
    if "rank" in frame and frame["rank"].is_unique:
        found = found.sort_values("rank", kind="stable", ignore_index=True)
        found["rank"] = np.arange(1, len(found) + 1, dtype=frame["rank"].dtype)
    if "user" in frame and pd.api.types.is_integer_dtype(frame["user"]):
        found["user"] = pd.factorize(found["user_id"], sort=True)[0].astype(frame["user"].dtype)
    return found[frame.columns]


def built(folder: Path) -> dict[str, float]:
    """folder/TABLES → index.html and report.json beside it; seconds with what is imported for it, peak MiB of all."""
    with (folder / TABLES).open("rb") as file:
        tables, notes, experiment, manifest = pickle.load(file)
    before, started = _mib(), time.perf_counter()
    report.build(tables, notes, experiment, manifest, folder)
    return {"seconds": time.perf_counter() - started, "mib": _mib(), "mib_before": before}


def _mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["tables", run, wanted, folder]:
            print(json.dumps(scaled(Path(run), int(wanted), Path(folder))))
        case ["build", folder]:
            print(json.dumps(built(Path(folder))))
