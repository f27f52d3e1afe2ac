"""a packed file → its beginning, and a refusal where all of it would be far more than any log.

A gzip file can hold a thousand times its size, a Parquet file any number of rows. Memory does not grow with them, but
time and disk do: ten megabytes of gzip kept the in-process engine busy for more than four minutes. What is small is
let be; beyond that, a log that repeats itself so often is none.
"""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from tschurn.errors import LogError

MOST_BYTES, MOST_TIMES = 1 << 30, 200  # unpacked; refused is what has more of both. Logs have 5 to 30 times their size.
MOST_ROWS, MOST_ROWS_PER_BYTE = 100_000_000, 20  # of a Parquet file, likewise. Logs have less than one.
_DEFLATE = 1032  # the most that gzip can pack
_CHUNK = 1 << 20


def is_gzip(file: Path) -> bool:
    """Whether a text file is packed, by its name."""
    return file.name.lower().endswith(".gz")


def start(file: Path, size: int) -> bytes:
    """The first bytes of a text file, unpacked. Raises LogError where it cannot be read."""
    try:
        with gzip.open(file) if is_gzip(file) else file.open("rb") as stream:
            return stream.read(size)
    except (OSError, EOFError, zlib.error) as error:
        raise LogError(f"{file}: cannot be read: {error}") from None


def refuse_text(file: Path) -> None:
    """Raise LogError for a gzip file that is damaged anywhere, or unpacks to far more than a log.

    All of it is unpacked once, and thrown away: the engine that reads it then does not look at the checksum.
    """
    if not is_gzip(file):
        return
    most = max(MOST_BYTES, MOST_TIMES * file.stat().st_size)
    size = 0
    try:
        with gzip.open(file) as stream:
            while size <= most and (read := len(stream.read(_CHUNK))):
                size += read
    except (OSError, EOFError, zlib.error) as error:
        raise LogError(f"{file}: cannot be read: {error}") from None
    if size > most:
        raise LogError(
            f"{file}: {file.stat().st_size:,} bytes that unpack to more than {most:,}: no log repeats itself so often; "
            "if it is one, unpack it yourself"
        )


def refuse_parquet(file: Path) -> None:
    """Raise LogError for a Parquet file that cannot be read, or says that it holds far more than a log of its size."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(file) as opened:
            known = opened.metadata
    except (pa.ArrowException, OSError) as error:
        raise LogError(f"{file}: cannot be read: {str(error).splitlines()[0][:200]}") from None
    size = file.stat().st_size
    bytes_ = sum(known.row_group(k).total_byte_size for k in range(known.num_row_groups))
    for found, most, times, what in (
        (known.num_rows, MOST_ROWS, MOST_ROWS_PER_BYTE, "rows"), (bytes_, MOST_BYTES, MOST_TIMES, "bytes, unpacked"),
    ):  # fmt: skip
        if found > max(most, times * size):
            raise LogError(f"{file}: says that {size:,} bytes hold {found:,} {what}: no log repeats itself so often")
