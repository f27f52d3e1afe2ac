"""The lists for people: contents, languages, and files that a spreadsheet opens without harm."""

import csv
import io
import re
import resource
from datetime import date, timedelta

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tschurn import spreadsheet
from tschurn.config import parse
from tschurn.contracts import LIST
from tschurn.errors import ConfigError, MachineError
from tschurn.segments import export
from tschurn.segments.pseudonyms import pseudonyms
from tschurn.segments.told import told_of

ANCHOR = date(2024, 3, 31)
# Text → what must stand in the file. A second beginning, after a tab or a line break, has its own apostrophe.
HOSTILE = {
    "=1+1": "'=1+1",
    "+82-10": "'+82-10",
    "-2+3": "'-2+3",
    "@SUM(A1)": "'@SUM(A1)",
    "\x00=1": "'\x00=1",
    " =1": "' =1",
    "　=1": "'　=1",
    "＝1": "'＝1",
    "－1": "'－1",
    "\x7f=": "'\x7f=",
    "\t=1": "'\t'=1",
    "\r=1": "'\r'=1",
    "\n=1": "'\n'=1",
    "a;=1": "a;'=1",
    'a; "=1"': 'a;\' "=1"',
    "a\t+1": "a\t'+1",
    "call\r\n\n @X": "call\r'\n'\n' @X",
    "=a;-b;c": "'=a;'-b;c",
}
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
    "a; b - c",
    "more, -5 less",
]


def experiment(language="en", seed=7, outcome_days=7, actions=None, **list_):
    return parse(
        {
            "experiment": {"name": "test", "language": language, "seed": seed},
            "log": {"path": "log.csv"},
            "windows": {"outcome_days": outcome_days},
            "list": list_,
            "actions": actions or {},
        },
        "test",
    )


def priority_rows(users, segment=None):
    n = len(users)
    p, q = np.linspace(0.9, 0.1, n), np.linspace(0.8, 0.2, n)
    return pd.DataFrame(
        {
            "user_id": users,
            "anchor_day": ANCHOR,
            "rank": np.arange(1, n + 1),
            "segment": pd.Series(segment or (["priority", "other_churners", "rest"] * n)[:n], dtype="str"),
            **{"p_churn": p, "p_churn_low": p - 0.05, "p_churn_high": p + 0.05},
            **{"p_sticker": q, "p_sticker_low": q - 0.05, "p_sticker_high": q + 0.05},
            "priority": p * q,
            "log_priority": np.log(p * q),
            "value_at_risk": 1000 * p,
        }
    )


def reason_rows(user, ranks=(1, 2, 3), target="churn", reliable=True):
    return pd.DataFrame(
        {
            "target": target,
            "user_id": user,
            "anchor_day": ANCHOR,
            "rank": list(ranks),
            "feature": [f"feature:{r}" for r in ranks],
            "contribution": [0.5 / r + 1e-5 for r in ranks],
            "reliable": reliable,
            "sentence_en": [f"{target} reason {r} of {user}" for r in ranks],
            "sentence_ko": [f"{target} 이유 {r}: {user}" for r in ranks],
        }
    )


def money_rows(users, recency=2, value=1.5):
    return pd.DataFrame({"user_id": users, "anchor_day": ANCHOR, "recency": recency, "value_28": value})


def firm_rows(users, firm="firm"):
    return pd.DataFrame({"user_id": users, "firm": firm})


def people(users, reasons=None, profile=None, firmness=None, chosen=None, segment=None, resting=None, money=None):
    profile = pd.DataFrame({"user_id": users}) if profile is None else profile
    money = money_rows(users) if money is None else money
    table = priority_rows(users, segment)
    chosen = chosen or experiment()
    return export.list_table(table, told_of(table, reasons, profile, money, chosen), firmness, chosen, resting)


def written(folder, users, reasons=None, chosen=None, segment=None, resting=None, **money):
    chosen = chosen or experiment()
    everybody = people(users, reasons, None, firm_rows(users), chosen, segment, resting, money_rows(users, **money))
    return export.write_people(everybody, chosen, folder)


def read(path, **options):
    return pd.read_csv(path, encoding="utf-8-sig", **options)


# --- what stands in the list ----------------------------------------------------------------------
def test_the_list_has_reasons_of_churn_in_the_experiments_language():
    reasons = pd.concat([reason_rows(5, (1,)), reason_rows(7), reason_rows(3, target="sticker"), reason_rows(99)])
    profile = pd.DataFrame({"user_id": [3, 5, 7], "history:active_days:28": [3.0, 5.0, 7.0], "other": 1.0})
    firmness = pd.DataFrame({"user_id": [5, 7], "firm": ["out", "swing"]})
    english = people([7, 3, 5], reasons, profile, firmness, experiment("en", holdout=0.0))
    assert english["user_id"].tolist() == [7, 3, 5]
    assert english["segment"].tolist() == ["priority", "other churners", "rest"]
    assert english["reason_3"].tolist()[0] == "churn reason 3 of 7"
    assert english.loc[1, ["reason_1", "reason_2", "reason_3"]].isna().all()
    assert english["reason_1"].tolist()[2] == "churn reason 1 of 5" and english["reason_2"].isna().tolist()[2]
    assert english["active_days_of_last_28"].tolist() == [7, 3, 5]
    assert english["firm"].fillna("").tolist() == ["swing", "", "out"]
    korean = people([7, 3, 5], reasons, profile, firmness, experiment("ko"))
    assert korean["segment"].tolist() == ["관리우선대상군", "일반이탈군", "그 외"]
    assert korean["firm"].fillna("").tolist() == ["유동", "", "제외"]
    assert korean["reason_1"].tolist()[0] == "churn 이유 1: 7"
    assert list(korean.columns) == list(english.columns) == list(LIST.columns)


def test_reasons_come_with_what_they_weigh_and_whether_they_hold(tmp_path):
    reasons = pd.concat([reason_rows(7, (1, 2), reliable=False), reason_rows(3), reason_rows(5, target="sticker")])
    table = read(written(tmp_path, [7, 3, 5], reasons)["scores.csv"], dtype=str, keep_default_na=False)
    assert table["reason_1_feature"].tolist() == ["feature:1", "feature:1", ""]
    assert table["reason_3_feature"].tolist() == ["", "feature:3", ""]
    columns = [*(f"reason_{i}_contribution" for i in (1, 2, 3)), "reasons_reliable"]
    assert table[columns].to_numpy().tolist() == [
        ["0.5", "0.25", "", "false"], ["0.5", "0.25", "0.167", "true"], ["", "", "", ""]
    ]  # fmt: skip


@pytest.mark.parametrize("reasons", [None, reason_rows("a").iloc[:0]])
def test_the_list_has_the_same_columns_and_types_without_reasons(reasons):
    table, known = people(["b", "a"], reasons), people(["b", "a"], reason_rows("a"))
    why = [c for c in table.columns if c.startswith("reason")]
    assert table[why].isna().all(axis=None) and len(why) == 10
    assert LIST.check(table).schema.equals(LIST.check(known).schema)
    assert table["user_id"].tolist() == ["b", "a"]


def test_the_list_says_of_which_week_it_is_and_waits_for_the_day_of_the_call(tmp_path):
    paths = written(tmp_path, [1, 2], chosen=experiment(outcome_days=14), value=1234567.25, recency=3)
    text = read(paths["scores.csv"], dtype=str)
    assert text["anchor_day"].tolist() == ["2024-03-31"] * 2 and text["outcome_days"].tolist() == ["14"] * 2
    assert text["contacted_on"].isna().all() and text["last_active_day"].tolist() == ["2024-03-28"] * 2
    assert text["value_of_last_28_days"].tolist() == ["1234567.25"] * 2
    assert text["value_at_risk"].tolist() == ["900", "100"] and text["firm"].tolist() == ["firm"] * 2
    assert text["p_churn"].tolist() == ["0.9", "0.1"] and text["p_sticker_low"].tolist() == ["0.75", "0.15"]


def test_without_a_sticker_target_the_rest_of_the_list_stands(tmp_path):
    table = priority_rows([1, 2]).assign(value_at_risk=np.nan, p_sticker=np.nan)
    table[["p_sticker_low", "p_sticker_high"]] = np.nan
    profile, money = pd.DataFrame({"user_id": [1, 2]}), money_rows([1, 2], value=np.nan)
    known = told_of(table, None, profile, money, experiment())
    paths = export.write_people(export.list_table(table, known, None, experiment()), experiment(), tmp_path)
    back = read(paths["scores.csv"])
    assert back[["p_sticker", "value_at_risk", "value_of_last_28_days", "firm"]].isna().all(axis=None)
    assert back["p_churn"].tolist() == [0.9, 0.1]


# --- who is called, and who is not ----------------------------------------------------------------
def test_who_is_held_out_stands_last_and_it_says_so(tmp_path):
    actions = {"feature:2": "call", "*": "write"}
    reasons = pd.concat([reason_rows(user) for user in range(40)])
    everybody = people(range(40), reasons, chosen=experiment(actions=actions), segment=["priority"] * 40)
    held = everybody["holdout"]
    assert held.sum() == 4 and held.to_numpy().reshape(4, 10).sum(axis=1).tolist() == [1, 1, 1, 1]
    assert set(everybody.loc[held, "action"]) == {"DO NOT CONTACT: held out, to measure what contacting does"}
    assert set(everybody.loc[~held, "action"]) == {"write"}
    assert everybody["reason_1"].notna().all()
    group = export.group_of(everybody, experiment())
    assert group["holdout"].tolist() == [False] * 36 + [True] * 4
    for part in (group[:36], group[36:]):
        assert part["rank"].is_monotonic_increasing
    assert export.counts(everybody, experiment()) == {"call": 36, "holdout": 4, "resting": 0}


def test_only_the_priority_group_is_held_out():
    segment = ["priority"] * 30 + ["other_churners"] * 30 + ["rest"] * 30
    everybody = people(range(90), segment=segment, chosen=experiment(holdout=0.5))
    assert everybody["holdout"][:30].sum() == 15 and not everybody["holdout"][30:].any()
    again = people(range(90), segment=segment, chosen=experiment(holdout=0.5))
    assert everybody["holdout"].equals(again["holdout"])
    assert not people(range(90), segment=segment, chosen=experiment(holdout=0.0))["holdout"].any()


def test_another_week_draws_anew():
    def drawn(day):
        table = priority_rows(range(200), ["priority"] * 200).assign(anchor_day=day)
        money = money_rows(range(200)).assign(anchor_day=day)
        profile = pd.DataFrame({"user_id": range(200)})
        known = told_of(table, None, profile, money, experiment())
        return export.list_table(table, known, None, experiment())["holdout"]

    assert 0 <= (drawn(ANCHOR) & drawn(ANCHOR + timedelta(days=7))).sum() < 12  # 2 by chance


@pytest.mark.parametrize("ids", [[11, 12, 13, 14], ["a", "b", "=c", "d"]])
def test_who_rests_is_on_no_list_of_callers(tmp_path, ids):
    resting = pd.Series([ids[0], ids[1], "unknown", None], dtype=object)
    paths = written(
        tmp_path, ids, chosen=experiment(holdout=0.0), segment=["priority", "rest", *["priority"] * 2], resting=resting
    )
    group, everybody = (pd.read_parquet(paths[f"{name}.parquet"]) for name in ("priority_group", "scores"))
    assert group["user_id"].tolist() == ids[2:] and not group["resting"].any()
    assert everybody["resting"].tolist() == [True, True, False, False]
    assert everybody["action"].str.startswith("DO NOT CONTACT: has been").fillna(False).tolist() == [
        True,
        True,
        False,
        False,
    ]
    known = people(
        ids, segment=["priority", "rest", *["priority"] * 2], resting=resting, chosen=experiment(holdout=0.0)
    )
    assert export.counts(known, experiment()) == {"call": 2, "holdout": 0, "resting": 1}


def test_who_rests_is_found_whatever_the_type_of_the_ids():
    for resting in (pd.Series(["2", "30"]), pd.Series([2, 30])):
        assert people(range(4), resting=resting)["resting"].tolist() == [False, False, True, False]
        assert people(list("0123"), resting=resting)["resting"].tolist() == [False, False, True, False]


def test_the_hold_out_is_drawn_among_those_who_may_be_called():
    for seed in range(20):
        table = people(
            range(20),
            segment=["priority"] * 20,
            resting=pd.Series(range(10)),
            chosen=experiment(seed=seed, holdout=0.1),
        )
        assert table["holdout"].sum() == 1 and not (table["holdout"] & table["resting"]).any()


@pytest.mark.parametrize(
    ("segment", "size"), [(["rest", "rest"], 0), (["priority", "priority"], 2), (["rest", "priority"], 1), ([], 0)]
)
def test_nobody_everybody_and_two_users(tmp_path, segment, size):
    users = pd.Series(range(len(segment)), dtype="int64")
    paths = written(tmp_path, users, segment=segment)
    for name, n in (("priority_group", size), ("scores", len(segment))):
        assert list(read(paths[f"{name}.csv"]).columns) == list(LIST.columns) and len(read(paths[f"{name}.csv"])) == n
        back = pq.read_table(paths[f"{name}.parquet"])
        assert back.num_rows == n and str(back.schema.field("user_id").type) == "int64"


# --- pseudonyms -----------------------------------------------------------------------------------
@pytest.mark.parametrize("ids", [[4711, 4712, 4713], ["=SUM(1)", "kim", "이"]])
def test_pseudonyms_stand_in_all_files_and_ids_in_none(tmp_path, monkeypatch, ids):
    monkeypatch.setenv("TSCHURN_PSEUDONYM_KEY", "a secret of the team")
    reasons = pd.concat([reason_rows(i).replace(f" of {i}", "", regex=False) for i in ids])
    reasons[["sentence_en", "sentence_ko"]] = "quiet"
    paths = written(tmp_path, ids, reasons, experiment(pseudonyms=True))
    expected = pseudonyms(pd.Series(ids), b"a secret of the team").tolist()
    assert read(paths["scores.csv"])["user_id"].tolist() == expected
    assert pd.read_parquet(paths["scores.parquet"])["user_id"].tolist() == expected
    assert read(paths["scores.csv"])["reason_1"].tolist() == ["quiet"] * 3
    for path in paths.values():
        content = path.read_bytes()
        assert b"a secret" not in content and not any(str(i).encode() in content for i in ids)


def test_pseudonyms_without_a_secret_leave_no_file(tmp_path, monkeypatch):
    monkeypatch.delenv("TSCHURN_PSEUDONYM_KEY", raising=False)
    with pytest.raises(ConfigError, match="TSCHURN_PSEUDONYM_KEY"):
        written(tmp_path, [1, 2], chosen=experiment(pseudonyms=True))
    assert not list(tmp_path.iterdir())


# --- the files ------------------------------------------------------------------------------------
def test_the_lists_are_written_the_group_alone_and_everybody(tmp_path):
    paths = written(tmp_path, [11, 12, 13, 14], reason_rows(11), experiment("ko", holdout=0.0))
    files = ["priority_group.csv", "priority_group.parquet", "scores.csv", "scores.parquet"]
    assert sorted(p.name for p in tmp_path.iterdir()) == sorted(paths) == files
    assert read(paths["priority_group.csv"])["user_id"].tolist() == [11, 14]
    everybody = read(paths["scores.csv"])
    assert everybody["user_id"].tolist() == [11, 12, 13, 14]
    assert everybody["segment"].tolist() == ["관리우선대상군", "일반이탈군", "그 외", "관리우선대상군"]
    assert everybody["reason_1"].tolist()[0] == "churn 이유 1: 11"


def test_parquet_has_types_and_no_apostrophes_and_says_the_same(tmp_path):
    ids = ["=1+1", "-5", "007", "kim"]
    paths = written(tmp_path, ids, reason_rows("=1+1", (1, 2)), experiment(holdout=0.5, actions={"*": "@home"}))
    table = pq.read_table(paths["scores.parquet"])
    assert table.schema.equals(LIST.check(people(ids)).schema)
    types = {field.name: str(field.type) for field in table.schema}
    assert types["anchor_day"] == types["last_active_day"] == types["contacted_on"] == "date32[day]"
    assert types["holdout"] == types["resting"] == types["reasons_reliable"] == types["top_supporter_quiet"] == "bool"
    assert table["user_id"].to_pylist() == ids
    assert read(paths["scores.csv"], dtype=str)["user_id"].tolist() == ["'=1+1", "'-5", "007", "kim"]
    texts = read(paths["scores.csv"], dtype=str, keep_default_na=False)
    for name in ("holdout", "resting"):
        assert texts[name].tolist() == [str(value).lower() for value in table[name].to_pylist()]
    for name in ("p_churn", "priority", "log_priority", "value_at_risk"):
        np.testing.assert_allclose(texts[name].astype(float), table[name].to_numpy(), rtol=1e-5)


def test_a_list_that_comes_back_is_that_of_its_users(tmp_path):
    ids = pd.Series(["=1+1", "-5", "007", "@kim", "김하늘", "1e5"])
    paths = written(tmp_path, ids, reason_rows("-5"), experiment(holdout=0.5))
    for path in paths.values():
        back = spreadsheet.read(path, ["user_id", "holdout", "anchor_day"])
        if path.stem == "scores":
            assert spreadsheet.identify(back["user_id"], ids).tolist() == ids.tolist()
        assert (spreadsheet.days(back["anchor_day"], "x") == pd.Timestamp(ANCHOR)).all()
        assert spreadsheet.flags(back["holdout"], "x").sum() in (1, 2)
        assert spreadsheet.days(back["last_active_day"], "x").notna().all()


def test_a_list_that_is_filled_in_is_kept(tmp_path):
    def run():
        return written(tmp_path, [1, 2], segment=["priority"] * 2)["priority_group.csv"]

    path = run()
    run()
    assert len(list(tmp_path.iterdir())) == 4  # nothing was filled in
    kept = []
    for day in ("2024-04-02", "3.4.2024"):
        text = path.read_text(encoding="utf-8-sig").split("\n")
        row = text[1].split(",")
        row[list(LIST.columns).index("contacted_on")] = day
        kept.append("\n".join([text[0], ",".join(row), *text[2:]]))
        path.write_text(kept[-1], encoding="utf-8-sig")
        run()
    assert "2024" not in read(path, dtype=str)["contacted_on"].fillna("").sum()
    found = [tmp_path / f"priority_group.filled_{n}.csv" for n in (1, 2)]
    assert [f.read_text(encoding="utf-8-sig") for f in found] == kept
    path.write_bytes(b"\xff\x00nothing that can be read")
    run()
    assert (tmp_path / "priority_group.filled_3.csv").read_bytes() == b"\xff\x00nothing that can be read"
    assert len(list(tmp_path.iterdir())) == 7


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
    day = [date(2024, 1, 2), None]
    frame = pd.DataFrame({"id": [-1, 2], "p": [-1 / 3, np.nan], "mixed": [-1, "-1"], "day": day})
    frame = frame.assign(flag=pd.array([True, None], "boolean"), whole=pd.array([-3, None], "Int32"), none=None)
    export.write_csv(frame, tmp_path / "a.csv")
    text = (tmp_path / "a.csv").read_text(encoding="utf-8-sig")
    assert text.splitlines()[1:] == ["-1,-0.333333,-1,2024-01-02,true,-3,", "2,,'-1,,,,"]


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (99999.4, "99999.4"),
        (123456.789, "123456.79"),
        (-12345678.0, "-12345678"),
        (0.1234567, "0.123457"),
        (1e20, "1e+20"),
    ],
)
def test_money_is_told_to_the_cent(tmp_path, value, text):
    export.write_csv(pd.DataFrame({"won": [value]}), tmp_path / "a.csv")
    assert (tmp_path / "a.csv").read_text(encoding="utf-8-sig").split() == ["won", text]


# --- no formulas ----------------------------------------------------------------------------------
@pytest.mark.parametrize("dtype", ["str", "object", "category"])
@pytest.mark.parametrize("text", HOSTILE)
def test_text_that_could_be_a_formula_gets_an_apostrophe(tmp_path, text, dtype):
    export.write_csv(pd.DataFrame({"user_id": pd.Series([text, "x"], dtype=dtype), text: [1, 2]}), tmp_path / "a.csv")
    rows = list(csv.reader(io.StringIO((tmp_path / "a.csv").read_bytes().decode("utf-8-sig"), newline="")))
    assert rows[1] == [HOSTILE[text], "1"] and rows[0][1] == HOSTILE[text]


@pytest.mark.parametrize("dtype", ["str", "object"])
def test_other_text_is_left_alone(tmp_path, dtype):
    export.write_csv(pd.DataFrame({"user_id": pd.Series(HARMLESS, dtype=dtype), "n": 1}), tmp_path / "a.csv")
    assert read(tmp_path / "a.csv", keep_default_na=False)["user_id"].tolist() == HARMLESS


NASTY = st.text(
    st.one_of(
        st.sampled_from("=+-@＝－;,\t\r\n\"' \x00\x0b\u200b\ufeff　a1"), st.characters(exclude_categories=["Cs"])
    ),
    max_size=12,
)


def begins_like_a_formula(cell):
    bare = cell.lstrip("\ufeff\u200b\x00 \x7f" + "".join(chr(i) for i in range(32)))
    return bare.strip()[:1] in tuple("=+-@＝＋－＠") or (cell[:1] and (ord(cell[0]) < 32 or cell[0] == "\x7f"))


@settings(deadline=None, max_examples=400)
@given(NASTY)
def test_no_cell_begins_like_a_formula_wherever_a_list_is_cut(text):
    safe = export._without_formulas(pd.Series([text], dtype="str")).iloc[0]
    assert safe.replace("'", "") == text.replace("'", "")
    assert not begins_like_a_formula(safe)
    for separator in ";\t\r\n":
        for cell in safe.split(separator)[1:]:
            assert cell.lstrip(' "\t\r\n\x0b\x00\u200b\ufeff　')[:1] not in tuple("=+-@＝＋－＠")


@settings(deadline=None, max_examples=60)
@given(NASTY.filter(str.strip), NASTY, NASTY, st.floats(-1e9, 1e9))
def test_no_cell_of_a_list_is_a_formula_and_numbers_are_numbers(tmp_path_factory, user, reason, action, value):
    folder = tmp_path_factory.mktemp("list")
    reasons = reason_rows(user, (1,)).assign(sentence_en=reason)
    paths = written(folder, [user], reasons, experiment(holdout=0.0, actions={"*": action}), value=value)
    text = paths["scores.csv"].read_bytes().decode("utf-8-sig").replace("\x00", "")
    header, row = csv.reader(io.StringIO(text, newline=""))
    numbers = {c for c, kind in LIST.columns.items() if kind.startswith(("float", "int"))}
    for name, cell in zip(header, row, strict=True):
        if name in numbers:
            assert cell == "" or abs(float(cell)) < 2e9  # and so without an apostrophe
        else:
            assert not begins_like_a_formula(cell)


def test_a_disk_that_is_full_leaves_neither_a_new_nor_a_broken_file(tmp_path):
    path = tmp_path / "a.csv"
    export.write_csv(pd.DataFrame({"a": [1]}), path)
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(MachineError, match=re.escape(f"{tmp_path}: no room left")):
            export.write_csv(pd.DataFrame({"a": range(100_000)}), path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == ["a.csv"]


@pytest.mark.parametrize("rows", [1, 2, 3, 5, 6, 100])
def test_a_long_list_is_written_in_pieces_that_nobody_sees(tmp_path, monkeypatch, rows):
    frame = pd.DataFrame(
        {"=id": [1, "=2", None, "x", "-1"], "n": [1.5, np.nan, 2e9, 3, 1e-9], "when": [ANCHOR, None] * 2 + [ANCHOR],
         "sure": pd.array([True, None, False, None, True], "boolean"), "none": pd.Series([None] * 5, dtype=object)}
    )  # fmt: skip
    export.write_csv(frame, tmp_path / "whole.csv")
    monkeypatch.setattr(export, "_ROWS", rows)
    for name, table in (("pieces", frame), ("nobody", frame.iloc[:0])):
        export.write_csv(table, tmp_path / f"{name}.csv")
    whole = (tmp_path / "whole.csv").read_bytes()
    assert (
        (tmp_path / "pieces.csv").read_bytes() == whole and whole.count(b"\r\n") == 6 and whole.count(b"\xef\xbb") == 1
    )
    assert (tmp_path / "nobody.csv").read_bytes() == whole.splitlines(keepends=True)[0]
