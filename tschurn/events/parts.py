"""a folder that `read` filled → EVENT_LOG and DAILY, users by users, and what is made of each part.

Where the log lies on this machine or in a database, part after part here; on Spark in its executors, which group the
rows of their users again in an engine of their own: the same function is given the same rows.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path

import ibis.expr.types as ir
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from tschurn import blocks
from tschurn.config import Experiment
from tschurn.contracts import Progress
from tschurn.events import daily, engine, reader
from tschurn.runs import parquet_writer

Tables = dict[str, pd.DataFrame]
Work = Callable[[ir.Table, ir.Table], Tables]  # EVENT_LOG and DAILY of some users → tables by name
_NAME, _BYTES = "name", "frame"  # the columns in which tables come back from executors


def of_parts(experiment: Experiment, folder: Path, size: int, work: Work, progress: Progress) -> Iterator[Tables]:
    """→ what `work` makes of each `size` users, in no order that matters.

    work: on Spark it is sent to the executors, so that what it refers to must be there, and be picklable.
    """
    users = pq.read_table(folder / reader.USERS_FILE)["user_id"].to_pandas()
    with reader.event_log_of(experiment, folder) as event_log:
        if engine.dialect_name(event_log) == "pyspark":
            yield from _on_spark(event_log, len(users), size, work, experiment.run.memory_mib, progress)
            return
        with reader.daily_of(experiment, folder) as acts:
            yield from _here(event_log, acts, users, size, work, progress)


def _here(
    event_log: ir.Table, acts: ir.Table, users: pd.Series, size: int, work: Work, progress: Progress
) -> Iterator[Tables]:
    ids = pd.Index(users).sort_values()
    for start in range(0, len(ids), size):
        progress("score", start, len(ids), f"{start:,} of {len(ids):,} users")
        if len(ids) <= size:
            yield work(event_log, acts)
        else:
            some = ids[start : start + size]
            yield work(blocks.of_users(event_log, some), blocks.of_users(acts, some))


def _on_spark(
    event_log: ir.Table, users: int, size: int, work: Work, memory_mib: int, progress: Progress
) -> Iterator[Tables]:
    rows = engine.spark_frame(event_log)
    parts = max(engine.spark_slots(event_log), -(-users // size))

    def in_executor(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        for tables in _of_partition(batches, size, work, memory_mib):
            yield _packed(tables)

    done = rows.repartition(parts, "user_id").mapInArrow(in_executor, f"{_NAME} string, {_BYTES} binary")
    progress("score", 0, 1, f"{parts} parts on Spark")
    for row in done.toLocalIterator():
        yield {row[_NAME]: _frame(bytes(row[_BYTES]))}


def _of_partition(batches: Iterator[pa.RecordBatch], size: int, work: Work, memory_mib: int) -> Iterator[Tables]:
    """Rows of EVENT_LOG of some users → what `work` makes of them, in an engine of this process."""
    with tempfile.TemporaryDirectory(prefix="tschurn-") as temporary:
        raw, grouped = (Path(temporary) / name for name in (reader.COPY_FILE, reader.DAILY_FILE))
        with ExitStack() as files:
            writer = None
            for batch in batches:
                if batch.num_rows:
                    writer = writer or files.enter_context(parquet_writer(raw, batch.schema))
                    writer.write_batch(batch)
        if writer is None:
            return
        backend = engine.local(1, memory_mib)
        try:
            event_log = backend.read_parquet(raw)
            daily.daily(event_log).to_parquet(grouped, compression="zstd")
            acts = backend.read_parquet(grouped)
            users = acts.select("user_id").distinct().to_pyarrow()["user_id"].to_pandas()
            yield from _here(event_log, acts, users, size, work, lambda *_: None)
        finally:
            engine.close(backend)


def _packed(tables: Mapping[str, pd.DataFrame]) -> pa.RecordBatch:
    packed = []
    for frame in tables.values():
        sink = pa.BufferOutputStream()
        table = pa.Table.from_pandas(frame, preserve_index=False)
        with pa.ipc.new_stream(sink, table.schema) as stream:
            stream.write_table(table)
        packed.append(sink.getvalue().to_pybytes())
    return pa.RecordBatch.from_arrays([pa.array(list(tables), pa.string()), pa.array(packed, pa.binary())],
                                      names=[_NAME, _BYTES])  # fmt: skip


def _frame(packed: bytes) -> pd.DataFrame:
    with pa.ipc.open_stream(packed) as stream:
        return stream.read_all().to_pandas()
