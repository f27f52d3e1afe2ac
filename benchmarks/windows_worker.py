"""one engine, one log, one fresh process → what it took and what came out, as a line of JSON.

    python benchmarks/windows_worker.py '{"engine": "pandas", "log": "…", "small": "…", "folder": "…", …}'

The engine first does the same work on the small log, so that no import, compilation or start of a server is timed.
Arrays that have to be compared number by number are left in `folder`, the rest is compared by its digest.
"""

from __future__ import annotations

import gc
import hashlib
import json
import os
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import peers
import peers_people
import peers_sample
import pyarrow as pa
from windows_log import GIFTS


@dataclass(frozen=True)
class Task:
    """What to run. kind: 'panel', 'history', 'supporters' or 'both'. sample: users of the sampled engines."""

    engine: str
    log: str
    small: str
    folder: str
    threads: int
    stride: int = 1
    kind: str = "panel"
    sample: int = 40
    keep: bool = False  # the panel itself, too

    @property
    def history(self) -> bool:
        return self.kind in ("history", "both")

    @property
    def supporters(self) -> bool:
        return self.kind in ("supporters", "both")


def tschurn_windows(task: Task, path: Path, folder: Path) -> peers.Windows:
    """The toolkit's way from a raw file to windows, without its quality report (but for `tschurn_checked`)."""
    import pandas as pd

    from tschurn import config, contracts, events, features
    from tschurn.events import engine, reader

    log = {"path": str(path), "post_events": peers_people.POSTS, "reply_events": peers_people.REPLIES}
    log |= {} if task.supporters else {"supporter_events": []}
    log |= {"engine": "spark", "master": f"local[{task.threads}]"} if task.engine == "tschurn_spark" else {}
    experiment = config.parse(
        {
            "experiment": {"name": "windows"},
            "log": log,
            "windows": {"stride_days": task.stride},
            "targets": {"sticker": {"events": GIFTS}},
            "features": {"history": "full" if task.history else "none", "actors": "event"},
            "run": {"threads": task.threads},
        },
        "benchmark",
    )
    if task.engine == "tschurn_checked":
        known = events.read_log(experiment, folder)
    else:
        with reader._Reader(experiment, folder, _silent) as reading, engine.reading(str(path)):
            reading.survey()
            reading.group()
            acts = reading.local.read_parquet(folder / reader.DAILY_FILE)
            summary = acts.agg(first_day=acts.day.min(), last_day=acts.day.max(), rows=acts.n.sum()).execute()
            by_day = acts.group_by("day").agg(rows=acts.n.sum()).order_by("day").execute()
        summary["days"] = (summary["last_day"][0] - summary["first_day"][0]).days + 1
        facts = {"user_id": np.array([], np.int64), "fact": [], "number": np.array([]), "text": []}
        known = {"log_summary": summary.assign(only_days=False), "platform_days": by_day.assign(flag=None),
                 "facts": pd.DataFrame(facts)}  # fmt: skip
    with events.open_log(experiment, folder) as event_log, events.open_daily(experiment, folder) as acts:
        tables, history = features.build_windows(event_log, acts, known, experiment, folder, _silent)
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in features.ARRAYS if name != "history"}
    panel, index = arrays["panel"], tables["windows"]
    windows = features.open_windows(index, tables["features"], {**arrays, "history": history}, experiment)
    closed = index["closed"].to_numpy()
    batch = windows.batch(np.random.default_rng(0).choice(np.flatnonzero(closed), peers.BATCH))
    users = np.sort(tables[contracts.USER_DAYS.name]["user_id"].unique())
    churned = index["churned"].fillna(0).to_numpy(bool)
    user, anchor = index["user"].to_numpy(), index["anchor"].to_numpy()
    return peers.Windows(users, panel, user, anchor, closed, churned, batch, history if task.history else None)


def _silent(*_: object) -> None:
    """Progress that nobody looks at."""


def work(task: Task, path: Path, folder: Path) -> Any:
    """Run the task's engine on a log; only this is timed."""
    folder.mkdir(parents=True, exist_ok=True)
    if task.engine.startswith("tschurn"):
        return tschurn_windows(task, path, folder)
    if task.engine in peers.SCANS:
        return peers.SCANS[task.engine](path, task.threads)
    if task.engine in peers_sample.SAMPLED:
        users = task.sample if path == Path(task.log) else 2
        return peers_sample.SAMPLED[task.engine](path, task.threads, users)
    if task.kind != "panel":
        return peers_people.windows(path, task.threads, task.stride, task.history, task.supporters)
    return peers.indexed(*peers.ENGINES[task.engine](path, task.threads), task.stride)


def main(task: Task) -> dict[str, Any]:
    """Task → seconds, MiB and what came out."""
    pa.set_cpu_count(task.threads)
    folder = Path(task.folder)
    began = time.perf_counter()
    try:
        work(task, Path(task.small), folder / "small")
    except ImportError as error:
        return {"missing": str(error.name or error)}
    first = time.perf_counter() - began
    gc.collect()
    wall, cpu = time.perf_counter(), _tree()[0]
    done = work(task, Path(task.log), folder / "full")
    seconds = time.perf_counter() - wall
    after, peak = _tree()
    if task.keep:
        np.save(folder / "panel.npy", done.panel)
    return {"first": first, "wall": seconds, "cpu": after - cpu, "mib": peak} | _outcome(done, folder)


def _outcome(done: Any, folder: Path) -> dict[str, Any]:
    """What an engine gave → what is compared."""
    if isinstance(done, peers.Windows):
        return _checked(done, folder)
    if isinstance(done[0], dict):
        arrays, wall, cpu = done
        np.savez(folder / "sample.npz", **arrays)
        return {"sample": str(folder / "sample.npz"), "wall_parts": wall, "cpu_parts": cpu}
    return {"rows": done[0]}


def _checked(found: peers.Windows, folder: Path) -> dict[str, Any]:
    result = {
        "panel": _digest(found.panel[start : start + 500] for start in range(0, len(found.panel), 500)),
        "users": _digest([np.asarray(found.users)]),
        "index": _digest([found.user.astype("i4"), found.anchor.astype("i4"), found.closed, found.churned]),
        "batch": _digest([found.batch]),
        "windows": int(found.closed.sum()),
        "churn": float(found.churned[found.closed].mean()),
        "shape": list(found.panel.shape),
    }
    np.savez(folder / "index.npz", users=found.users, user=found.user, anchor=found.anchor, churned=found.churned)
    if found.history is not None:
        np.save(folder / "history.npy", found.history)
        result["history"] = str(folder / "history.npy")
    return result


def _digest(arrays: Any) -> str:
    hashed = hashlib.blake2b(digest_size=16)
    for array in arrays:
        hashed.update(np.ascontiguousarray(array + 0 if array.dtype.kind == "f" else array))  # -0.0 is 0.0
    return hashed.hexdigest()


def _tree() -> tuple[float, float]:
    """CPU seconds so far and peak MiB of this process and of those that it started and that live (Spark's server)."""
    parents, cpu, peak = {}, 0.0, 0.0
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        parents[int(status.parent.name)] = int(fields[1]), sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")
    family = {os.getpid()}
    while more := {pid for pid, (parent, _) in parents.items() if parent in family} - family:
        family |= more
    for pid in family:
        cpu += parents[pid][1]
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        peak += next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM")), 0.0)
    return cpu, peak


if __name__ == "__main__":
    print(json.dumps(main(Task(**json.loads(sys.argv[1])))))
