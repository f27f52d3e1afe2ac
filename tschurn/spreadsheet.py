"""a table that has been through a spreadsheet → its cells as texts, and from them days, numbers, yes or no, and ids.

Lists go out as CSV files and come back filled in: with semicolons, in the code page of the country, with days as the
country writes them, with empty lines. What can be read in one way only is read; what could mean two things is refused.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from tschurn.errors import ListError, did_you_mean

MOST_BYTES, MOST_CELLS = 512 << 20, 100_000_000  # of a CSV file; of a Parquet file: a million users have some millions

_LONGEST = 200  # characters of an id, a day, a number

# OWASP "CSV injection": a cell that begins so may be run as a formula; control characters and
# blanks before the sign are skipped by some spreadsheets, and full-width signs count as well.
_BLANK = r"[\x00-\x20\x7f\u0085\u00a0\u1680\u2000-\u200b\u2028\u2029\u202f\u205f\u3000\ufeff]"
FORMULA = rf"^[\x00-\x1f\x7f]|^{_BLANK}*[=+\-@＝＋－＠]"
_ESCAPED = re.compile(rf"'(?={FORMULA[1:].replace('|^', '|')})")
# Where a country's lists have semicolons or tabs between cells, a text with one of them becomes two cells, and a line
# break outside of what such a list takes for quotes begins a row: what comes after them is a beginning as well.
_SEPARATOR = r"[;\t\r\n]"
_BEGINS_LATER = re.compile(rf'(?<={_SEPARATOR})(?=[\s\x00-\x20\x7f\u200b\ufeff"]*[=+\-@＝＋－＠])')
_TIME = r"(?:[T ]\s*\d{1,2}:\d{2}.*)?"
_YEAR_FIRST = rf"^(\d{{4}})\s*[-/.년]\s*(\d{{1,2}})\s*[-/.월]\s*(\d{{1,2}})\s*[.일]?{_TIME}$"
_DOTTED = rf"^(\d{{1,2}})\.\s*(\d{{1,2}})\.\s*(\d{{4}}){_TIME}$"
_EITHER = rf"^(\d{{1,2}})[-/](\d{{1,2}})[-/](\d{{4}}){_TIME}$"
_ROUNDED = r"^\d(?:[.,]\d+)?E\+\d{2,}$"
# What spreadsheets write for a logical value, in the languages of the lists and of their neighbours.
_TRUE = {"true", "1", "yes", "y", "참", "예", "wahr", "vrai"}
_FALSE = {"false", "0", "no", "n", "거짓", "아니오", "아니요", "falsch", "faux"}


def read(path: Path, required: Sequence[str]) -> pd.DataFrame:
    """A CSV or Parquet file → its cells as stripped texts, null where empty; index: rows below the header, from 1.

    Lines without any cell are left out. Raises ListError: no such file, no table, no column of `required`.
    """
    try:
        if not path.is_file():
            raise ListError(f"{path}: {'is no file' if path.exists() else 'no such file'}")
        frame = _parquet(path) if path.suffix == ".parquet" else _csv(path)
    except OSError as error:
        raise ListError(f"{str(path)[:300]}: cannot be read ({error.strerror or error})") from None
    frame.columns = [str(name).strip() for name in frame.columns]
    for name in required:
        if name not in frame.columns:
            near = did_you_mean(name, frame.columns)
            raise ListError(f"{path}: no column `{name}` (it has {_named(frame.columns)}){near}")
        if list(frame.columns).count(name) > 1:
            raise ListError(f"{path}: the column `{name}` is there twice; leave one")
    frame.index = pd.RangeIndex(1, len(frame) + 1)
    frame = frame.dropna(how="all")
    for name in required:
        length = frame[name].str.len().fillna(0).astype("int64")
        if (long := length.gt(_LONGEST)).any():
            row = long.idxmax()
            raise ListError(f"{path}, column `{name}`, row {row}: has {length[row]:,} characters, at most {_LONGEST} "
                            "are read; does a quotation mark end too late?")  # fmt: skip
    return frame


def days(cells: pd.Series, where: str) -> pd.Series:
    """Cells → datetime64 days, NaT where empty. `where` names file and column in messages.

    Read are year-month-day with any separator, day.month.year, and numbers with slashes or dashes if all cells
    together can be meant in one way only. Raises ListError for what is no day, or could be two.
    """
    found = _day(cells, _YEAR_FIRST, ("year", "month", "day"))
    found = found.fillna(_day(cells, _DOTTED, ("day", "month", "year")))
    either = cells[cells.str.fullmatch(_EITHER).fillna(False).astype(bool)]
    day_first, month_first = (
        _day(either, _EITHER, order) for order in (("day", "month", "year"), ("month", "day", "year"))
    )
    if day_first.notna().all() and month_first.notna().all() and (day_first != month_first).any():
        row = (day_first != month_first).idxmax()
        raise ListError(f"{where}, row {row}: {either[row]!r:.100} can mean {day_first[row].date()} "
                        f"or {month_first[row].date()}; write days as {day_first[row].date()}")  # fmt: skip
    found = found.fillna(day_first if day_first.notna().all() else month_first)
    if (bad := cells.notna() & found.isna()).any():
        row = bad.idxmax()
        raise ListError(f"{where}, row {row}: expected a day such as 2026-11-22, found {cells[row]!r:.100}")
    return found


def numbers(cells: pd.Series, where: str) -> pd.Series:
    """Cells → float64, NaN where empty; a single decimal comma is read. Raises ListError for what is no number."""
    plain = cells.str.replace(r"^(-?\d+),(\d+(?:[eE][+-]?\d+)?)$", r"\1.\2", regex=True)
    found = pd.to_numeric(plain, errors="coerce").astype("float64")
    if (bad := cells.notna() & ~found.abs().lt(float("inf"))).any():
        row = bad.idxmax()
        raise ListError(f"{where}, row {row}: expected a number, found {cells[row]!r:.100}")
    return found


def flags(cells: pd.Series, where: str) -> pd.Series:
    """Cells → nullable boolean, null where empty. Raises ListError for what says neither yes nor no."""
    known = dict.fromkeys(_TRUE, True) | dict.fromkeys(_FALSE, False)
    found = cells.str.lower().map(known).astype("boolean")
    if (bad := cells.notna() & found.isna()).any():
        row = bad.idxmax()
        raise ListError(f"{where}, row {row}: expected true or false, found {cells[row]!r:.100}")
    return found


def identify(cells: pd.Series, known: pd.Series, pseudonyms: pd.Series | None = None) -> pd.Series:
    """Cells → the ids of a log (`known`, each once), null for those that it does not have.

    pseudonyms: those of `known`, in its order; an id may be written as either.
    """
    written = known.astype("str").str.strip()
    ids = pd.Series(known.to_numpy(), index=written.to_numpy(), dtype=object)
    if pseudonyms is not None:
        ids = pd.concat([ids, pd.Series(known.to_numpy(), index=pseudonyms.astype("str").to_numpy(), dtype=object)])
    ids = ids[~ids.index.duplicated()]
    whole = cells.str.replace(r"^(-?\d+)\.0$", r"\1", regex=True)  # integers that a program made floats of
    as_is, mended = (pd.Series(ids.reindex(c.to_numpy(object)).to_numpy(), cells.index, object) for c in (cells, whole))
    return as_is.where(as_is.notna(), mended)


def harmless(cells: pd.Series) -> pd.Series:
    """Texts → the same with an apostrophe before whatever a spreadsheet could run as a formula; null stays null."""
    risky = cells.str.contains(rf"{FORMULA}|{_SEPARATOR}", regex=True).fillna(False).astype(bool)
    return cells.where(~risky, cells[risky].map(_with_apostrophes))


def rounded(cells: pd.Series) -> str | None:
    """Cells with ids → the first that a spreadsheet has rounded (1.23457E+15), if there is one."""
    found = cells[cells.str.fullmatch(_ROUNDED).fillna(False).astype(bool)]
    return None if found.empty else str(found.iloc[0])


def _with_apostrophes(text: str) -> str:
    text = _BEGINS_LATER.sub("'", text)
    return "'" + text if re.match(FORMULA, text) else text


def _day(cells: pd.Series, pattern: str, order: tuple[str, str, str]) -> pd.Series:
    parts = cells.str.extract(pattern).astype("float64")
    parts.columns = list(order)
    return pd.to_datetime(parts, errors="coerce").astype("datetime64[us]")


def _csv(path: Path) -> pd.DataFrame:
    text = _decoded(path).replace("\x00", "")
    if not text.strip():
        raise ListError(f"{path}: the file is empty")
    header = text.lstrip("\r\n").partition("\n")[0]
    from io import StringIO

    try:
        frame = pd.read_csv(
            StringIO(text), sep=max(",;\t", key=header.count), dtype=str, keep_default_na=False, skip_blank_lines=False,
            index_col=False,
        )  # fmt: skip
    except (pd.errors.ParserError, pd.errors.EmptyDataError) as error:
        raise ListError(f"{path}: cannot be read as CSV ({str(error).strip().splitlines()[-1]})") from None
    return _cells(frame)


def _parquet(path: Path) -> pd.DataFrame:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            cells = file.metadata.num_rows * file.metadata.num_columns
            if cells > MOST_CELLS:
                raise ListError(f"{path}: says that it has {cells:,} cells, at most {MOST_CELLS:,} are read")
            table = file.read()
    except (pa.ArrowException, OSError) as error:
        raise ListError(f"{path}: cannot be read as Parquet ({' '.join(str(error).split())[:200]})") from None
    frame = table.to_pandas(integer_object_nulls=True).astype(object)
    return _cells(frame.where(frame.notna(), "").astype("str"))


def _cells(frame: pd.DataFrame) -> pd.DataFrame:
    """Texts → stripped, without the apostrophes that our lists have before whatever could be run as a formula."""
    frame = frame.rename(columns=lambda name: _ESCAPED.sub("", str(name), count=1))
    plain = frame.apply(lambda cells: cells.astype("str").str.replace(_ESCAPED, _first_only, regex=True).str.strip())
    return plain.astype(object).where(plain.ne("") & plain.notna(), None).astype("str")


def _first_only(found: re.Match[str]) -> str:
    return "" if found.start() == 0 else found[0]


def _decoded(path: Path) -> str:
    """The text of a file as spreadsheets save it: UTF-8, UTF-16 with its mark, or the code page of a Korean machine."""
    if (size := path.stat().st_size) > MOST_BYTES:
        raise ListError(f"{path}: has {size:,} bytes, at most {MOST_BYTES:,} are read; is it a list?")
    raw = path.read_bytes()
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return raw.decode("utf-16", errors="replace")
    for encoding in ("utf-8-sig", "cp949"):
        try:
            return raw.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise ListError(f'{path}: is no text in UTF-8; save it as "CSV UTF-8"')


def _named(columns: pd.Index) -> str:
    names = [f"`{name:.40}`" for name in columns[:12]]
    return ", ".join(names) + (", ..." if len(columns) > 12 else "")
