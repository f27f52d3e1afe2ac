"""raw logs → event log: find the files, read them, check them at the door, filter, count what was removed."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import ibis.expr.types as ir
    import pandas as pd

    from tschurn.config import Experiment


def read_log(experiment: Experiment, path: Path) -> dict[str, pd.DataFrame]:
    """Write the experiment's EVENT_LOG to `path` (Parquet); → FILTERS, LOG_SUMMARY, EVENT_NAMES by name.

    Raises LogError for whatever is wrong with the log.
    """
    from tschurn.events import engine, event_log, sources

    backend = engine.connect(experiment.run.threads)
    log = event_log.build(backend, sources.open_source(backend, experiment.log), experiment.log)
    event_log.write(backend, log, path)
    written = backend.read_parquet(path)
    tables = {
        "filters": log.filters,
        "log_summary": event_log.summary(written, log.rows_read, experiment.log.timezone),
        "event_names": event_log.event_names(written),
    }
    backend.disconnect()
    return tables


def open_log(path: Path, threads: int) -> ir.Table:
    """EVENT_LOG as Parquet → an Ibis table for the stages that aggregate it."""
    from tschurn.events import engine

    return engine.connect(threads).read_parquet(path)


def input_files(experiment: Experiment) -> list[Path]:
    """The files that the log consists of, the list of creators included. Raises LogError when one is missing."""
    from tschurn.events import sources

    creators = [Path(experiment.log.creators)] if experiment.log.creators else []
    return sources.files_of(experiment.log) + [c for c in creators if c.is_file()]
