"""a finished run + events in a frame → a frame of scores: the same as `tschurn score`, from Python, without files."""

from __future__ import annotations

import sys
import tempfile
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tschurn import config
from tschurn.contracts import MOST_REASONS
from tschurn.errors import LogError
from tschurn.runs import write_parquet
from tschurn.scorer import Scorer
from tschurn.scoring import scored

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


class Loaded:
    """A finished run in memory; `predict` may be called as often as one likes."""

    def __init__(self, run: str | Path) -> None:
        """Raises RunFolderError where `run` is no finished run's folder."""
        self._scorer = Scorer(Path(run))

    @property
    def experiment(self) -> config.Experiment:
        """The run's configuration."""
        return self._scorer.experiment

    def predict(self, events: Any, as_of: date | None = None) -> Any:
        """Raw events → one row per user that can be scored, best first.

        events: a frame of pandas, Polars or Arrow (or whatever gives Arrow streams), with the columns that the run's
        log has, one row per act, as far back as the run's log reached; only what the users in it did is known.
        as_of: the last day that is looked at, and the anchor; None: the newest day on which an anchor of the run
        would fall.

        → a frame of the library that `events` are of (Arrow otherwise): user_id, anchor_day, rank, segment, p_churn,
        p_sticker and their intervals, priority, value_at_risk, and reason_1 to reason_3, told in the run's language.
        Raises LogError for whatever is wrong with the events.
        """
        with tempfile.TemporaryDirectory(prefix="tschurn-") as temporary:
            file = Path(temporary) / "events.parquet"
            write_parquet(file, _arrow(events))
            log = config.with_log(self.experiment, str(file)).log
            alone = log.model_copy(update={"engine": None, "master": None, "received": None, "stickers": None,
                                           "until": as_of})  # fmt: skip
            experiment = self.experiment.model_copy(update={"log": alone, "contacts": None})
            found = scored(self._scorer, experiment, as_of, Path(temporary) / "work", sampled=0.0)
        return _like(events, self._frame(found.tables))

    def _frame(self, tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
        from tschurn import segments

        priority, _ = segments.list_again(tables | {"threshold": self._scorer.threshold}, self.experiment)
        why = [f"reason_{rank}" for rank in range(1, MOST_REASONS + 1)]
        return priority.join(tables["told"].set_index("user_id")[why], on="user_id")


def _arrow(events: Any) -> pa.Table:
    """A frame → Arrow, in types that Parquet has."""
    import pyarrow as pa

    try:
        table = events if isinstance(events, pa.Table) else pa.table(events)
    except (TypeError, ValueError, pa.ArrowException) as error:
        raise LogError(
            f"events: expected a frame of pandas, Polars or Arrow, found {type(events).__name__} "
            f"({str(error).splitlines()[0][:200]})"
        ) from None
    views = [pa.types.is_string_view(field.type) for field in table.schema]
    return table.cast(
        pa.schema(
            [pa.field(f.name, pa.string() if view else f.type) for f, view in zip(table.schema, views, strict=True)]
        )
    )


def _like(events: Any, frame: pd.DataFrame) -> Any:
    """A frame of pandas → one of the library that `events` are of."""
    import pyarrow as pa

    library = type(events).__module__.split(".")[0]
    if library == "pandas":
        return frame
    table = pa.Table.from_pandas(frame, preserve_index=False).replace_schema_metadata()
    return sys.modules["polars"].from_arrow(table) if library == "polars" else table
