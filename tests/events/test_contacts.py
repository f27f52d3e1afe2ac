"""[contacts]: files filled in by people → CONTACTS of the users of the log."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pandas as pd
import pytest
from synthetic import experiment

from tschurn import events
from tschurn.contracts import CONTACTS, CONTACTS_READ
from tschurn.errors import ListError
from tschurn.events import contacts as c

USERS = pd.Series([1, 2, 3])


def write(path: Path, text: str) -> list[Path]:
    path.write_text(text, encoding="utf-8")
    return [path]


def test_a_list_filled_in_is_a_file_of_contacts(tmp_path: Path) -> None:
    """As it comes back: other columns, empty days, somebody whom the log does not know, one told twice."""
    text = (
        "user_id;holdout;contacted_on\n1;false;22.11.2026\n2;true;\n9;false;23.11.2026\n1;;22.11.2026\n1;;1.12.2026\n"
    )
    found, read = c.contacts(write(tmp_path / "a.csv", text), USERS)
    CONTACTS.check(found)
    CONTACTS_READ.check(read)
    assert found.to_dict("list") == {"user_id": [1, 1], "contacted_on": [date(2026, 11, 22), date(2026, 12, 1)]}
    assert read.iloc[0].to_dict() == {
        "files": 1, "rows": 5, "contacted": 4, "unknown": 1, "contacts": 2, "users": 1,
        "first_day": date(2026, 11, 22), "last_day": date(2026, 12, 1),
    }  # fmt: skip


def test_texts_stay_texts_and_pseudonyms_are_known(tmp_path: Path) -> None:
    users = pd.Series(["007", "7", "=x"])
    path = write(tmp_path / "a.csv", "user_id,contacted_on\n007,2026-11-22\n'=x,2026-11-22\nu1,2026-11-23\n")
    found, _ = c.contacts(path, users, pd.Series(["u0", "u1", "u2"]))
    assert sorted(found["user_id"]) == ["007", "7", "=x"]
    assert CONTACTS.check(found).schema.field("user_id").type == "string"


def test_nobody_contacted_yet(tmp_path: Path) -> None:
    found, read = c.contacts(write(tmp_path / "a.csv", "user_id,contacted_on\n1,\n2,\n"), USERS)
    assert CONTACTS.check(found).num_rows == 0 and CONTACTS_READ.check(read)["contacts"].to_pylist() == [0]


@pytest.mark.parametrize(("text", "told"), [
    ("user_id,contacted\n1,2026-11-22\n", r"no column `contacted_on`.*did you mean `contacted`"),
    ("user,contacted_on\n1,2026-11-22\n", r"no column `user_id`"),
    ("user_id,contacted_on\n1,2026-11-22\n2,soon\n", r"column `contacted_on`, row 2: expected a day.*'soon'"),
    ("user_id,contacted_on\n1,03/02/2026\n", r"row 1: .* can mean"),
    ("user_id,contacted_on\n77,2026-11-22\n", r"none of its ids is a user of the log: the log has such as '1'.*'77'"),
    ("user_id,contacted_on\n1.23457E+15,2026-11-22\n", r"a spreadsheet has rounded them \(1.23457E\+15\)"),
])  # fmt: skip
def test_mistakes_are_told(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(ListError, match=rf"a\.csv.*{told}"):
        c.contacts(write(tmp_path / "a.csv", text), USERS)


def test_a_glob_of_lists_and_a_missing_file(tmp_path: Path) -> None:
    write(tmp_path / "1.csv", "user_id,contacted_on\n1,2026-11-22\n")
    write(tmp_path / "2.csv", "user_id,contacted_on\n2,2026-11-29\n")
    files = events.contact_files(experiment(contacts={"path": str(tmp_path / "*.csv")}))
    assert c.contacts(files, USERS)[1]["users"].item() == 2
    assert events.contact_files(experiment()) == []
    with pytest.raises(ListError, match=r"nowhere\.csv: no such file.*`contacts.path`"):
        events.contact_files(experiment(contacts={"path": str(tmp_path / "nowhere.csv")}))


def test_the_log_says_who_is_known(tmp_path: Path) -> None:
    acts = pd.DataFrame(
        {"user_id": [1, 3], "actor_id": [1, 3], "timestamp": ["2026-11-01", "2026-11-02"], "event": "a"}
    )
    acts.to_csv(tmp_path / "log.csv", index=False)
    write(tmp_path / "c.csv", "user_id,contacted_on\n1,2026-11-22\n2,2026-11-22\nu3,2026-11-23\n")
    exp = experiment(log={"path": str(tmp_path / "log.csv")}, contacts={"path": str(tmp_path / "c.csv")})
    events.read_log(exp, tmp_path)
    tables = events.read_contacts(exp, tmp_path, lambda ids: "u" + ids.astype("str"))
    assert tables["contacts"]["user_id"].to_list() == [1, 3] and tables["contacts_read"]["unknown"].item() == 1
