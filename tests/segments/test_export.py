"""The lists for people: contents, languages, and files that a spreadsheet opens without harm."""

import resource
from datetime import date

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tschurn import segments
from tschurn.config import parse
from tschurn.segments import export

HOSTILE = ["=1+1", "+82-10", "-2+3", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\x00=1", " =1", "　=1", "＝1", "－1", "\x7f="]
HARMLESS = [
    "plain",
    "a=b",
    "3-4",
    "",
    "김하늘",
    'say "hi", then\r\nleave',
    "'quoted'",
    "🙂",
    "user@example.org",
    "a\tb",
]


def experiment(language="en"):
    return parse({"experiment": {"name": "test", "language": language}, "log": {"path": "log.csv"}}, "test")


def priority_rows(users):
    n = len(users)
    return pd.DataFrame(
        {
            "user_id": users,
            "anchor_day": date(2024, 3, 31),
            "rank": np.arange(1, n + 1),
            "segment": (["priority", "other_churners", "rest"] * n)[:n],
            "p_churn": np.linspace(0.9, 0.1, n),
            "p_churn_low": np.linspace(0.85, 0.05, n),
            "p_churn_high": np.linspace(0.95, 0.15, n),
            "p_sticker": np.linspace(0.8, 0.2, n),
            "p_sticker_low": np.linspace(0.75, 0.15, n),
            "p_sticker_high": np.linspace(0.85, 0.25, n),
            "priority": np.linspace(0.9, 0.1, n) * np.linspace(0.8, 0.2, n),
            "log_priority": np.log(np.linspace(0.9, 0.1, n) * np.linspace(0.8, 0.2, n)),
        }
    )


def reason_rows(user, ranks=(1, 2, 3), target="churn", reliable=True):
    return pd.DataFrame(
        {
            "target": target,
            "user_id": user,
            "rank": list(ranks),
            "feature": "c",
            "value": 0.0,
            "typical": 1.0,
            "before": np.nan,
            "contribution": [0.5 / r + 1e-5 for r in ranks],
            "reliable": reliable,
            "sentence_en": [f"{target} reason {r} of {user}" for r in ranks],
            "sentence_ko": [f"{target} 이유 {r}: {user}" for r in ranks],
        }
    )


def read(path, **options):
    return pd.read_csv(path, encoding="utf-8-sig", **options)


def test_the_list_has_reasons_of_churn_in_the_experiments_language():
    table = priority_rows([7, 3, 5])
    reasons = pd.concat([reason_rows(5, (1,)), reason_rows(7), reason_rows(3, target="sticker"), reason_rows(99)])
    profile = pd.DataFrame({"user_id": [3, 5, 7], "history:recency": [3.0, 5.0, 7.0], "other": 1.0})
    english = export.list_table(table, reasons, profile, experiment("en"))
    assert english["user_id"].tolist() == [7, 3, 5]
    assert english["segment"].tolist() == ["priority", "other churners", "rest"]
    assert english["reason_3"].tolist()[0] == "churn reason 3 of 7"
    assert english.loc[1, ["reason_1", "reason_2", "reason_3"]].isna().all()
    assert english["reason_1"].tolist()[2] == "churn reason 1 of 5" and english["reason_2"].isna().tolist()[2]
    assert english["days_since_last_act"].tolist() == [7.0, 3.0, 5.0]
    assert list(english.columns)[-6:] == [
        *("reason_3", "reason_1_contribution", "reason_2_contribution", "reason_3_contribution", "reasons_reliable"),
        "days_since_last_act",
    ]
    korean = export.list_table(table, reasons, profile, experiment("ko"))
    assert korean["segment"].tolist() == ["관리우선대상군", "일반이탈군", "그 외"]
    assert korean["reason_1"].tolist()[0] == "churn 이유 1: 7"
    assert list(korean.columns) == list(english.columns)


def test_reasons_come_with_what_they_weigh_and_whether_they_hold(tmp_path):
    reasons = pd.concat([reason_rows(7, (1, 2), reliable=False), reason_rows(3), reason_rows(5, target="sticker")])
    profile = pd.DataFrame({"user_id": [3, 5, 7]})
    paths = segments.write_lists(priority_rows([7, 3, 5]), reasons, profile, experiment(), tmp_path)
    text = paths["scores.csv"].read_text(encoding="utf-8-sig").splitlines()
    assert text[0].endswith("reason_1_contribution,reason_2_contribution,reason_3_contribution,reasons_reliable")
    assert [line.rsplit(",", 4)[1:] for line in text[1:]] == [
        ["0.5", "0.25", "", "false"], ["0.5", "0.25", "0.167", "true"], ["", "", "", ""]
    ]  # fmt: skip


@pytest.mark.parametrize("reasons", [None, reason_rows("a").iloc[:0]])
def test_the_list_has_the_same_columns_without_reasons(reasons):
    profile = pd.DataFrame({"user_id": ["a", "b"]})
    table = export.list_table(priority_rows(["b", "a"]), reasons, profile, experiment())
    known = export.list_table(priority_rows(["b", "a"]), reason_rows("a"), profile, experiment())
    why = [c for c in table.columns if c.startswith("reason")]
    assert table[why].isna().all(axis=None) and len(why) == 7
    assert list(table.columns) == list(known.columns)
    assert [d.kind for d in table[why].dtypes] == [d.kind for d in known[why].dtypes]
    assert table["user_id"].tolist() == ["b", "a"]


def test_both_lists_are_written_the_group_alone_and_everybody(tmp_path):
    table = priority_rows([11, 12, 13, 14])
    profile = pd.DataFrame({"user_id": [11, 12, 13, 14]})
    paths = segments.write_lists(table, reason_rows(11), profile, experiment("ko"), tmp_path)
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(paths) == ["priority_group.csv", "scores.csv"]
    assert read(paths["priority_group.csv"])["user_id"].tolist() == [11, 14]
    everybody = read(paths["scores.csv"])
    assert everybody["user_id"].tolist() == [11, 12, 13, 14]
    assert everybody["segment"].tolist() == ["관리우선대상군", "일반이탈군", "그 외", "관리우선대상군"]
    assert everybody["reason_1"].tolist()[0] == "churn 이유 1: 11"
    for file in paths.values():
        assert list(read(file).columns)[3:9] == [
            *("p_churn", "p_churn_low", "p_churn_high", "p_sticker", "p_sticker_low", "p_sticker_high")
        ]
    assert everybody["p_sticker_low"].tolist()[:1] == [0.75] and everybody["p_churn_high"].tolist()[:1] == [0.95]


def test_an_empty_group_leaves_a_file_with_its_header(tmp_path):
    table = priority_rows([1, 2]).assign(segment="rest")
    paths = segments.write_lists(table, None, pd.DataFrame({"user_id": [1, 2]}), experiment(), tmp_path)
    group = read(paths["priority_group.csv"])
    assert len(group) == 0 and list(group.columns)[:3] == ["user_id", "rank", "segment"]


def test_the_file_is_utf8_with_bom_and_windows_line_ends(tmp_path):
    export.write_csv(pd.DataFrame({"이름": ["김하늘"], "n": [1]}), tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_bytes() == b"\xef\xbb\xbf" + "이름,n\r\n김하늘,1\r\n".encode()


def test_reading_back_gives_the_same(tmp_path):
    frame = pd.DataFrame(
        {
            "user_id": [-5, 0, 2**62],
            "name": pd.Series(["가나다", 'with "quotes", commas', "two\r\nlines"], dtype="str"),
            "p": [0.123456, -2.5, 1e-9],
            "flag": [True, False, True],
        }
    )
    export.write_csv(frame, tmp_path / "a.csv")
    pd.testing.assert_frame_equal(read(tmp_path / "a.csv"), frame)


def test_numbers_stay_numbers_with_six_digits_and_null_is_empty(tmp_path):
    frame = pd.DataFrame({"id": [-1, 2], "p": [-1 / 3, np.nan], "mixed": [-1, "-1"], "day": [date(2024, 1, 2)] * 2})
    export.write_csv(frame, tmp_path / "a.csv")
    text = (tmp_path / "a.csv").read_text(encoding="utf-8-sig")
    assert text.splitlines()[1:] == ["-1,-0.333333,-1,2024-01-02", "2,,'-1,2024-01-02"]


@pytest.mark.parametrize("dtype", ["str", "object", "category"])
@pytest.mark.parametrize("text", HOSTILE)
def test_text_that_could_be_a_formula_gets_an_apostrophe(tmp_path, text, dtype):
    export.write_csv(pd.DataFrame({"user_id": pd.Series([text, "x"], dtype=dtype), text: [1, 2]}), tmp_path / "a.csv")
    back = read(tmp_path / "a.csv", keep_default_na=False, encoding_errors="strict", engine="python")
    # newline="" in the python engine keeps CR and LF of quoted cells as they were written
    assert back.iloc[0, 0].startswith("'") and back.iloc[0, 0].replace("\r", "\n") == "'" + text.replace("\r", "\n")
    assert back.columns[1].startswith("'")


@pytest.mark.parametrize("dtype", ["str", "object"])
def test_other_text_is_left_alone(tmp_path, dtype):
    export.write_csv(pd.DataFrame({"user_id": pd.Series(HARMLESS, dtype=dtype), "n": 1}), tmp_path / "a.csv")
    assert read(tmp_path / "a.csv", keep_default_na=False)["user_id"].tolist() == HARMLESS


@settings(deadline=None, max_examples=200)
@given(st.text(st.characters(exclude_categories=["Cs"]), max_size=12))
def test_no_cell_begins_like_a_formula(text):
    safe = export._without_formulas(pd.Series([text], dtype="str")).iloc[0]
    assert safe in (text, "'" + text)
    assert not safe[:1] or (safe[0] not in "=+-@＝＋－＠" and ord(safe[0]) > 31)
    assert not safe.strip().startswith(("=", "+", "-", "@"))


def test_a_disk_that_is_full_leaves_neither_a_new_nor_a_broken_file(tmp_path):
    path = tmp_path / "a.csv"
    export.write_csv(pd.DataFrame({"a": [1]}), path)
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(OSError, match="too large"):
            export.write_csv(pd.DataFrame({"a": range(100_000)}), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]
