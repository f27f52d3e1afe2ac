"""Tables that have been through a spreadsheet: read in one way, or refused."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tschurn import spreadsheet
from tschurn.errors import ListError
from tschurn.segments.export import write_csv

COLUMNS = ("user_id", "contacted_on")


def cells(*texts: str | None) -> pd.Series:
    return pd.Series(list(texts), index=range(1, len(texts) + 1), dtype="str")


def dates(*texts: str | None) -> list[str | None]:
    found = spreadsheet.days(cells(*texts), "list.csv")
    return [None if pd.isna(day) else day.date().isoformat() for day in found]


@pytest.mark.parametrize("text", ["2026-11-22", "2026/11/22", "2026.11.22", "2026. 11. 22.", "2026년 11월 22일",
                                  "22.11.2026", "22. 11. 2026", "2026-11-22 10:30", "2026-11-22T00:00:00", "11/22/2026",
                                  "22/11/2026", "22-11-2026", "11/22/2026 09:00"])  # fmt: skip
def test_days_as_people_write_them(text: str) -> None:
    assert dates(text, None) == ["2026-11-22", None]


def test_a_column_says_which_way_round_its_days_are() -> None:
    assert dates("03/02/2026", "22/02/2026") == ["2026-02-03", "2026-02-22"]
    assert dates("03/02/2026", "02/22/2026") == ["2026-03-02", "2026-02-22"]
    assert dates("03/03/2026") == ["2026-03-03"]


@pytest.mark.parametrize(("texts", "told"), [
    (("2026-01-01", "03/02/2026"), "row 2: '03/02/2026' can mean 2026-02-03 or 2026-03-02"),
    (("22/02/2026", "02/22/2026"), "expected a day such as 2026-11-22"),
    (("46348",), "row 1: expected a day"), (("yes",), "'yes'"),
    (("2026-02-30",), "2026-02-30"), (("1/2/26",), "1/2/26"),
])  # fmt: skip
def test_days_that_are_none_or_two_are_refused(texts: tuple[str, ...], told: str) -> None:
    with pytest.raises(ListError, match=f"list.csv, .*{told}"):
        dates(*texts)


@pytest.mark.parametrize(("encoding", "separator", "ending"), [
    ("utf-8-sig", ",", "\r\n"), ("utf-8", ";", "\n"), ("utf-16", "\t", "\r\n"), ("cp949", ",", "\r\n"),
])  # fmt: skip
def test_a_csv_as_programs_save_it(tmp_path: Path, encoding: str, separator: str, ending: str) -> None:
    lines = ["user_id,contacted_on,reason", "7,2026-11-22,조용함", ",,", "", "'=x,,'+1"]
    path = tmp_path / "list.csv"
    path.write_bytes(ending.join(line.replace(",", separator) for line in lines).encode(encoding))
    frame = spreadsheet.read(path, COLUMNS)
    assert frame["user_id"].to_list() == ["7", "=x"] and frame["reason"].to_list() == ["조용함", "+1"]
    assert frame.index.to_list() == [1, 4] and frame["contacted_on"].isna().to_list() == [False, True]


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1), min_size=1))
def test_ids_come_back_as_our_lists_wrote_them(tmp_path: Path, ids: list[str]) -> None:
    """But for blanks around them, and for what our lists take apart: separators, and an apostrophe of the id's own."""
    ids = [i.strip() for i in ids if i.strip() and not set(i) & set(";\t\r\n'\x85\u2028\u2029\ufeff")] or ["1"]
    frame = pd.DataFrame({"user_id": ids, "contacted_on": None})
    write_csv(frame, tmp_path / "list.csv")
    assert spreadsheet.read(tmp_path / "list.csv", COLUMNS)["user_id"].to_list() == ids


def test_parquet_is_read_as_well(tmp_path: Path) -> None:
    frame = pd.DataFrame({"user_id": [2**60 + 1, 2], "contacted_on": pd.to_datetime(["2026-11-22", None]),
                          "holdout": [True, None]})  # fmt: skip
    frame.to_parquet(tmp_path / "list.parquet")
    found = spreadsheet.read(tmp_path / "list.parquet", COLUMNS)
    assert found["user_id"].to_list() == [str(2**60 + 1), "2"]
    assert spreadsheet.days(found["contacted_on"], "x").dt.date.iloc[0].isoformat() == "2026-11-22"
    assert spreadsheet.flags(found["holdout"], "x").to_list() == [True, pd.NA]


def test_what_is_no_table_is_told(tmp_path: Path) -> None:
    for content, told in ((b"", "is empty"), (b"user_id,when\n1,2", "no column `contacted_on`"),
                          (b"user_id,contacted on\n1,2", "did you mean `contacted on`"),
                          (b"\x81\xff\x81,\xff", "UTF-8"), (b'user_id,contacted_on\n"1,2', "cannot be read as CSV"),
                          (b"user_id,contacted_on,user_id\n1,,2", None)):  # fmt: skip
        (tmp_path / "list.csv").write_bytes(content)
        if told:
            with pytest.raises(ListError, match=rf"list\.csv: .*{told}"):
                spreadsheet.read(tmp_path / "list.csv", COLUMNS)
    (tmp_path / "list.parquet").write_bytes(b"no parquet")
    with pytest.raises(ListError, match="cannot be read as Parquet"):
        spreadsheet.read(tmp_path / "list.parquet", COLUMNS)
    with pytest.raises(ListError, match="no such file"):
        spreadsheet.read(tmp_path / "nowhere.csv", COLUMNS)


def test_numbers_and_flags() -> None:
    assert spreadsheet.numbers(cells("0.25", "0,25", None, "1e-3"), "x").fillna(-1).to_list() == [0.25, 0.25, -1, 0.001]
    assert spreadsheet.flags(cells("TRUE", "거짓", "1", "no"), "x").to_list() == [True, False, True, False]
    for bad in ("1.000,5", "nan", "inf", "x"):
        with pytest.raises(ListError, match="row 1: expected a number"):
            spreadsheet.numbers(cells(bad), "x")


def test_ids_are_those_of_the_log() -> None:
    known = pd.Series([2**60 + 1, 7, 30])
    alias = pd.Series(["a", "b", "c"])
    found = spreadsheet.identify(cells(str(2**60 + 1), "7.0", "07", None, "c"), known, alias)
    assert found.to_list()[:2] == [2**60 + 1, 7] and found[3:4].isna().all() and found.iloc[4] == 30
    assert pd.isna(found.iloc[2]) and pd.isna(found.iloc[3])
    assert spreadsheet.identify(cells("007", "7"), pd.Series(["007", "7"])).to_list() == ["007", "7"]
