"""A table of windows → an HTML page by another tool, run by the Python of that tool's own environment.

    PYTHON report_peers.py '{"page": ..., "windows": ..., "out": ..., "memory": ..., "threads": ...}'

windows: a Parquet file, its last column the label. Prints JSON: seconds (of explaining or profiling, and of writing),
and the process's high-water mark in MiB. Knows nothing of tschurn.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pandas as pd


def explainerdashboard(windows: pd.DataFrame, out: Path, threads: int) -> float:
    """A classifier's static dashboard; → seconds of training, which do not count.

    Without interactions and single trees: their values for each pair and each tree are what it is slowest at.
    """
    from explainerdashboard import ClassifierExplainer, ExplainerDashboard
    from lightgbm import LGBMClassifier

    features, label = windows.iloc[:, :-1], windows.iloc[:, -1]
    before = time.perf_counter()
    model = LGBMClassifier(n_estimators=100, n_jobs=threads, verbose=-1).fit(features, label)
    trained = time.perf_counter() - before
    explainer = ClassifierExplainer(model, features, label, n_jobs=threads)
    dashboard = ExplainerDashboard(explainer, title="churn", shap_interaction=False, decision_trees=False)
    dashboard.save_html(str(out))
    return trained


def profiling(windows: pd.DataFrame, out: Path, threads: int, minimal: bool = False) -> float:
    """A profile of all columns."""
    from data_profiling import ProfileReport

    report = ProfileReport(windows, title="windows", minimal=minimal, progress_bar=False, pool_size=threads)
    report.to_file(out, silent=True)
    return 0.0


def profiling_minimal(windows: pd.DataFrame, out: Path, threads: int) -> float:
    """The same without correlations, interactions and duplicates."""
    return profiling(windows, out, threads, minimal=True)


PAGES: dict[str, Callable[[pd.DataFrame, Path, int], float]] = {
    "explainerdashboard": explainerdashboard,
    "profiling": profiling,
    "profiling_minimal": profiling_minimal,
}


if __name__ == "__main__":
    task = json.loads(sys.argv[1])
    resource.setrlimit(resource.RLIMIT_AS, (task["memory"], task["memory"]))
    table = pd.read_parquet(task["windows"])
    started = time.perf_counter()
    aside = PAGES[task["page"]](table, Path(task["out"]), task["threads"])
    seconds = time.perf_counter() - started - aside
    print(json.dumps({"seconds": seconds, "mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
