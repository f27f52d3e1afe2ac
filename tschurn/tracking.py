"""a finished run folder → a run in MLflow: configuration, figures on test, versions, and what names no user.

MLflow is an extra, imported only here. Everything is read from the folder, so a run can be logged long after it ended.
The report names users one by one; it is logged only where their ids are pseudonyms (`[list] pseudonyms`), else a
`figures.json` without them stands in its place. Lists, scores and predictions are never logged.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tschurn.errors import CommandError, MachineError, MissingExtraError, RunFolderError
from tschurn.reporting import flat

if TYPE_CHECKING:
    from mlflow.tracking import MlflowClient

VARIABLE = "MLFLOW_TRACKING_URI"
_NAMING = ("report.json", "index.html")  # they name users
# Of report.json: what speaks of no single user.
_FIGURES = (
    "experiment", "rows", "users", "windows", "targets", "surrogates", "segments", "calls", "setting", "notes",
    "no_sticker", "splits", "filters", "exclusions",
)  # fmt: skip
# Of score.json: what is no figure of the score.
_ELSEWHERE = ("removed", "versions", "trained_with", "data", "calibration", "seconds")
_SCHEMES = ("", "file", "http", "https")
# The client reports home and sets up logging of its own unless it is told not to.
SETTINGS = {"MLFLOW_DISABLE_TELEMETRY": "true", "MLFLOW_CONFIGURE_LOGGING": "false", "MLFLOW_ALLOW_FILE_STORE": "true"}
_BATCH = 100  # parameters that MLflow takes at once
_LONGEST = 6000  # characters of one


def ready(uri: str) -> None:
    """Raises MissingExtraError when MLflow is not installed, CommandError when `uri` is none that it can log to."""
    _client(uri)


def log_run(folder: Path, uri: str | None = None) -> str:
    """A finished run folder → id of the run that was made of it in MLflow.

    uri: a folder or a server's address; None: MLFLOW_TRACKING_URI. Raises RunFolderError when the run is not finished,
    MachineError when MLflow does not take it.
    """
    from tschurn.reporting import read_manifest

    manifest, report = read_manifest(folder), _read(folder / "report.json")
    experiment = manifest["experiment"]
    name, hidden = experiment["experiment"]["name"], bool(experiment.get("list", {}).get("pseudonyms"))
    ended = _milliseconds(manifest.get("finished"))
    began = ended - int(1000 * manifest.get("seconds", {}).get("total", 0))
    with _run(uri, name, folder.name, began, ended) as (client, run):
        _log(client, run, _params(experiment), {**_figures(report), **_times(manifest)}, _tags(manifest, report))
        for path in (folder / file for file in ("manifest.json", *(_NAMING if hidden else ()))):
            client.log_artifact(run, str(path))
        if not hidden:
            client.log_dict(run, {key: report[key] for key in _FIGURES if key in report}, "figures.json")
    return run


def log_score(folder: Path, uri: str | None = None) -> str:
    """A folder that `tschurn score` has written → id of the run that was made of it in MLflow, in the experiment of the
    run that scored: the counts, and drift. Raises as `log_run` does."""
    told = _read(folder / "score.json")
    ended = int((folder / "score.json").stat().st_mtime * 1000)
    began = ended - int(1000 * told.get("seconds", 0))
    figures = dict(flat({k: v for k, v in told.items() if k not in _ELSEWHERE}))
    tags = {key: str(told[key]) for key in ("run", "anchor_day", "commit") if told.get(key)}
    tags |= {"data": _digest(told.get("data"))}
    tags |= {key: value for key, value in figures.items() if key.endswith("recommendation")}
    with _run(uri, told["experiment"], f"score {told['anchor_day']}", began, ended) as (client, run):
        _log(client, run, {}, {key: float(value) for key, value in figures.items() if _is_number(value)}, tags)
        for path in (folder / name for name in ("score.json", "drift.csv")):
            if path.exists():
                client.log_artifact(run, str(path))
    return run


def _client(uri: str) -> MlflowClient:
    if not uri:
        raise CommandError(f"MLflow needs to be told where: give a folder or an address, or set {VARIABLE}")
    scheme = urlsplit(uri).scheme
    if scheme not in _SCHEMES:
        raise CommandError(
            f"MLflow at {scheme}: cannot be logged to; expected a folder, or the address of a server (http, https), "
            "which may keep its runs in a database"
        )
    for variable, value in SETTINGS.items():
        os.environ.setdefault(variable, value)
    try:
        from mlflow.tracking import MlflowClient
    except ImportError:
        raise MissingExtraError("logging to MLflow needs the extra `mlflow`: pip install '.[mlflow]'") from None
    return MlflowClient(tracking_uri=uri)


@contextmanager
def _run(uri: str | None, experiment: str, name: str, began: int, ended: int) -> Iterator[tuple[MlflowClient, str]]:
    """→ a client, and the id of a new run of `experiment`, which is made where there is none; a run that could not be
    logged whole is marked as failed."""
    uri = uri or os.environ.get(VARIABLE, "")
    client = _client(uri)
    from mlflow.exceptions import MlflowException

    run = None
    try:
        known = client.get_experiment_by_name(experiment)
        place = known.experiment_id if known else client.create_experiment(experiment)
        run = client.create_run(place, start_time=began, run_name=name).info.run_id
        yield client, run
        client.set_terminated(run, end_time=ended)
    except (MlflowException, OSError) as error:
        if run is not None:
            with suppress(MlflowException, OSError):
                client.set_terminated(run, status="FAILED")
        raise MachineError(
            f"MLflow at {uri} did not take the run: {error}; the run itself is finished, and the same command again "
            "logs it without computing anything anew"
        ) from error


def _log(
    client: MlflowClient, run: str, params: Mapping[str, str], figures: Mapping[str, float], tags: Mapping[str, str]
) -> None:
    from mlflow.entities import Metric, Param, RunTag

    now = int(time.time() * 1000)
    client.log_batch(run, [Metric(key, value, now, 0) for key, value in figures.items()])
    every = [Param(key, value) for key, value in params.items()]
    for start in range(0, len(every), _BATCH):
        client.log_batch(run, params=every[start : start + _BATCH])
    client.log_batch(run, tags=[RunTag(f"tschurn.{key}", value) for key, value in tags.items()])


def _tags(manifest: Mapping[str, Any], report: Mapping[str, Any]) -> dict[str, str]:
    tags = {"data": _digest(manifest.get("data")), "finished": manifest.get("finished", "")}
    tags |= {key: manifest[key] for key in ("tschurn", "commit", "python") if manifest.get(key)}
    tags |= {f"version.{name}": version for name, version in manifest.get("versions", {}).items()}
    return tags | {f"used.{target}": found["used"] for target, found in report["targets"].items() if found}


def _figures(report: Mapping[str, Any]) -> dict[str, float]:
    """report.json → the used models' figures on test as `churn.test.ap`, and the counts."""
    found = {
        f"{target}.test.{name}": value
        for target, summary in report["targets"].items()
        if summary
        for name, value in next(m for m in summary["models"] if m["name"] == summary["used"]).items()
    }
    found = {name.replace("test.validation_", "validation."): value for name, value in found.items()}
    for part in ("windows", "segments", "calls"):
        found |= {f"{part}.{name}": value for name, value in report.get(part, {}).items()}
    return {name: float(value) for name, value in found.items() if _is_number(value)}


def _times(manifest: Mapping[str, Any]) -> dict[str, float]:
    found = {f"seconds.{stage}": value for stage, value in manifest.get("seconds", {}).items()}
    found["peak_memory_mib"] = manifest.get("peak_memory_mib")
    return {name: float(value) for name, value in found.items() if _is_number(value)}


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _params(experiment: Mapping[str, Any]) -> dict[str, str]:
    """The configuration → `section.key` and its value as text; lists as JSON, what is not set is left out."""
    texts = (
        (k, v if isinstance(v, str) else json.dumps(v, ensure_ascii=False))
        for k, v in flat(experiment)
        if v is not None
    )
    return {key: text[:_LONGEST] for key, text in texts if text}


def _digest(data: Any) -> str:
    """What the manifest knows of the data → one fingerprint: the same for the same contents, wherever they lie."""
    known = [{k: v for k, v in one.items() if k not in ("path", "changed_ns")} for one in data or []]
    return hashlib.blake2b(json.dumps(known, sort_keys=True, default=str).encode(), digest_size=16).hexdigest()


def _milliseconds(moment: str | None) -> int:
    """ISO time → milliseconds since 1970; now, where there is none."""
    return int(1000 * (datetime.fromisoformat(moment).timestamp() if moment else time.time()))


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        raise RunFolderError(
            f"{path}: no such file; it is written last, so what should have left it did not end"
        ) from None
    except ValueError as error:
        raise RunFolderError(f"{path}: cannot be read as JSON ({error}); write it again") from None
