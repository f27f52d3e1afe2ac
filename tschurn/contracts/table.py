"""The contract of one table, and its check."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tschurn.errors import ContractError

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

# Parquet types by the short names used below. "id" is int64 when the log's ids are integers and
# string otherwise, so that people can join our tables with their own.
TYPES = ("id", "string", "int8", "int32", "int64", "float32", "float64", "bool", "date", "timestamp")


@dataclass(frozen=True)
class Table:
    """The contract of one table.

    name: file name in the run folder. grain: the columns that identify a row (empty: no key).
    columns: name → type; a type that ends in "?" may be null.
    open_columns: whether further float columns may follow (a wide table of variables).
    """

    name: str
    about: str
    grain: tuple[str, ...]
    columns: dict[str, str]
    open_columns: bool = False

    def check(self, frame: pd.DataFrame) -> pa.Table:
        """frame → Arrow table with exactly this contract's columns and types.

        Raises ContractError when a column is missing, surplus, of another type, null where it may
        not be, or when the grain is not unique.
        """
        import pyarrow as pa

        missing = [c for c in self.columns if c not in frame.columns]
        surplus = [c for c in frame.columns if c not in self.columns]
        if missing or (surplus and not self.open_columns):
            raise ContractError(f"table {self.name}: missing columns {missing}, surplus columns {surplus}")
        arrays, fields = [], []
        for column in frame.columns if self.open_columns else self.columns:
            kind = self.columns.get(column, "float64?")
            values = frame[column]
            type_ = _arrow_type(kind.rstrip("?"), values)
            try:
                array = pa.Array.from_pandas(values, type=type_, safe=not pa.types.is_floating(type_))
            except (pa.ArrowInvalid, pa.ArrowTypeError, pa.ArrowNotImplementedError) as error:
                raise ContractError(f"table {self.name}, column {column}: expected {kind}: {error}") from error
            if array.null_count and not kind.endswith("?"):
                raise ContractError(f"table {self.name}, column {column}: {array.null_count} null values")
            arrays.append(array)
            fields.append(pa.field(column, type_, nullable=kind.endswith("?")))
        if self.grain and frame.duplicated(list(self.grain)).any():
            raise ContractError(f"table {self.name}: rows repeat for the key {self.grain}")
        return pa.Table.from_arrays(arrays, schema=pa.schema(fields))


def _arrow_type(kind: str, values: pd.Series) -> pa.DataType:
    import pandas as pd
    import pyarrow as pa

    if kind == "id":
        return pa.int64() if pd.api.types.is_integer_dtype(values) else pa.string()
    return {
        "string": pa.string(),
        "int8": pa.int8(),
        "int32": pa.int32(),
        "int64": pa.int64(),
        "float32": pa.float32(),
        "float64": pa.float64(),
        "bool": pa.bool_(),
        "date": pa.date32(),
        "timestamp": pa.timestamp("us", tz="UTC"),
    }[kind]
