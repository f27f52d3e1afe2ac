"""[contacts]: files that say who was contacted when → CONTACTS, of the users of the log."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from tschurn import spreadsheet
from tschurn.errors import ListError, LogError
from tschurn.events import sources

COLUMNS = ("user_id", "contacted_on")


def files(path: str) -> list[Path]:
    """A file, folder or glob → its files. Raises ListError where there is none."""
    try:
        return sources.place(path).files
    except LogError as error:
        raise ListError(f"{error} (key `contacts.path`)") from None


def contacts(
    paths: Sequence[Path], users: pd.Series, pseudonyms: pd.Series | None = None
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Files with user_id and contacted_on, and the users of the log → CONTACTS, CONTACTS_READ.

    pseudonyms: those of `users`, in their order, where the lists have such. Rows without a day are people who were
    not contacted. Raises ListError: a file or column is missing, a day is none, or no id is one of the log.
    """
    parts = [_rows(path) for path in paths]
    rows = pd.concat(parts, ignore_index=True)
    rows["id"] = spreadsheet.identify(rows["user_id"], users, pseudonyms)
    contacted = rows["contacted_on"].notna() & rows["user_id"].notna()
    known = rows[contacted & rows["id"].notna()]
    if len(rows) and rows["id"].isna().all():
        raise ListError(_strangers(paths, rows["user_id"], users))
    found = pd.DataFrame(
        {"user_id": known["id"].astype(users.dtype), "contacted_on": pd.to_datetime(known["contacted_on"]).dt.date}
    )
    found = found.drop_duplicates().sort_values(["contacted_on", "user_id"], ignore_index=True)
    days = found["contacted_on"]
    read = {
        "files": len(paths),
        "rows": len(rows),
        "contacted": int(contacted.sum()),
        "unknown": int((contacted & rows["id"].isna()).sum()),
        "contacts": len(found),
        "users": found["user_id"].nunique(),
        "first_day": days.min() if len(days) else None,
        "last_day": days.max() if len(days) else None,
    }
    return found, pd.DataFrame([read])


def _rows(path: Path) -> pd.DataFrame:
    frame = spreadsheet.read(path, COLUMNS)
    days = spreadsheet.days(frame["contacted_on"], f"{path}, column `contacted_on`")
    return pd.DataFrame({"user_id": frame["user_id"], "contacted_on": days})


def _strangers(paths: Sequence[Path], cells: pd.Series, users: pd.Series) -> str:
    where = str(paths[0]) if len(paths) == 1 else f"{paths[0]} and {len(paths) - 1} more"
    if (rounded := spreadsheet.rounded(cells)) is not None:
        why = f"a spreadsheet has rounded them ({rounded:.40}); keep ids as text there"
    else:
        why = (f"the log has such as {str(users.iloc[0])!r:.100}, the file such as {str(cells.dropna().iloc[0])!r:.100}"
               if cells.notna().any() else "its column `user_id` is empty")  # fmt: skip
    return f"{where}: none of its ids is a user of the log: {why} (key `contacts.path`)"
