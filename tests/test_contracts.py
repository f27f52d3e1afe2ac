"""The door between stages."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from tschurn import contracts as c
from tschurn.contracts.table import TYPES
from tschurn.errors import ContractError

TABLE = c.Table("t", "about", ("user_id", "day"), {"user_id": "id", "day": "date", "n": "int64", "p": "float64?"})


def frame(**changes: object) -> pd.DataFrame:
    day = pd.to_datetime(["2024-01-01", "2024-01-02"]).date
    return pd.DataFrame({"user_id": [1, 2], "day": day, "n": [1, 2], "p": [0.5, np.nan]} | changes)


def test_a_right_frame_passes_and_keeps_its_ids() -> None:
    assert str(TABLE.check(frame()).schema.field("user_id").type) == "int64"
    assert str(TABLE.check(frame(user_id=["a", "b"])).schema.field("user_id").type) == "string"
    assert TABLE.check(frame()).column("p").null_count == 1  # NaN is null


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        (frame().drop(columns="n"), "missing columns"),
        (frame(extra=1), "surplus columns"),
        (frame(n=["one", "two"]), "column n"),
        (frame(n=[1.5, 2.0]), "column n"),
        (frame(user_id=[1, None]), "user_id"),
        (frame(user_id=[1, 1], day=frame()["day"][0]), "rows repeat"),
    ],
)
def test_a_wrong_frame_is_refused(wrong: pd.DataFrame, told: str) -> None:
    with pytest.raises(ContractError, match=told):
        TABLE.check(wrong)


def test_no_two_tables_share_a_name_and_every_type_is_known() -> None:
    tables = [t for t in vars(c).values() if isinstance(t, c.Table)]
    assert len({t.name for t in tables}) == len(tables) > 20
    for table in tables:
        assert set(table.grain) <= set(table.columns)
        assert {kind.rstrip("?") for kind in table.columns.values()} <= set(TYPES)
