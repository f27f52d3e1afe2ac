"""The three doors by which what others wrote comes in: the log, the experiment file, lists that people filled in.

What each must do with any bytes: give a result that keeps its contract, or refuse them in one sentence.
"""

from __future__ import annotations

import gzip
import io
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from fuzzer import Broken, Door, one_sentence
from synthetic import make_log

from tschurn import config, events, spreadsheet
from tschurn import contracts as c
from tschurn.errors import MachineError, UserError
from tschurn.events import contacts
from tschurn.segments import past_lists

REFUSALS = (UserError, MachineError)
TOLD = ("filters", "log_summary", "event_names", "refused", "platform_days", "quality", "facts")
CONTRACTS = {t.name: t for t in vars(c).values() if isinstance(t, c.Table)}


# --- the log --------------------------------------------------------------------------------------
def _log_inputs() -> tuple[bytes, ...]:
    """Good logs: a line of JSON (the file's name and keys of [log]), then the file."""
    frame = make_log(6, 30).head(120).assign(object="o")
    own = frame[["user_id", "timestamp", "event"]]
    text = frame.to_csv(index=False).encode()
    korean = own.rename(columns={"user_id": "회원", "timestamp": "때", "event": "행동"}).to_csv(index=False, sep=";")
    odd = frame.assign(timestamp=frame["timestamp"].dt.tz_localize("UTC"), user_id=frame["user_id"].astype("str"))
    return (
        _packed("a.csv", text),
        _packed("a.csv", text.replace(b"\n", b"\r\n"), bad_rows="refuse", timezone="America/New_York"),
        _packed("a.tsv", frame.to_csv(index=False, sep="\t").encode(), drop_duplicates=True),
        _packed("a.csv", own.to_csv(index=False).encode(), naive_time="utc", supporter_events=[]),
        _packed("a.csv", korean.encode(), columns={"user": "회원", "time": "때", "event": "행동"}),
        _packed("a.csv.gz", gzip.compress(text, mtime=0)),
        _packed(
            "a.csv.gz", gzip.compress(text[:2000], mtime=0) + gzip.compress(text[2000:], mtime=0), bad_rows="refuse"
        ),
        _packed("a.csv", b"user_id,timestamp,event,value\n1,2024-01-01,a,1\n", since="2023-01-01", until="2025-01-01"),
        _packed("a.parquet", _parquet(frame)),
        _packed("a.parquet", _parquet(odd, "gzip"), bad_rows="refuse", drop_duplicates=True),
        _packed("a.parquet", _parquet(own.assign(timestamp=own["timestamp"].astype("str")), None)),
        _packed("a.parquet", _parquet(frame.assign(event=frame["event"].astype("category"), value=None))),
    )


def _packed(name: str, content: bytes, **keys: Any) -> bytes:
    return json.dumps({"name": name, "keys": keys}, ensure_ascii=False).encode() + b"\n" + content


def _parquet(frame: pd.DataFrame, compression: str | None = "snappy") -> bytes:
    stream = io.BytesIO()
    frame.to_parquet(stream, compression=compression)
    return stream.getvalue()


def enter_log(data: bytes, folder: Path) -> str:
    """Bytes → read_log's tables, each row of the file in the log or counted as removed; or a refusal."""
    head, _, content = data.partition(b"\n")
    try:
        told = json.loads(head)
        name, keys = str(told["name"]), dict(told["keys"])
    except (ValueError, KeyError, TypeError, RecursionError):
        name, keys, content = "a.csv", {}, data
    ending = next((e for e in (".csv.gz", ".csv", ".tsv", ".parquet") if name.endswith(e)), ".csv")
    file = folder / f"log{ending}"
    file.write_bytes(content)
    stage = folder / "stage"
    stage.mkdir()
    names = (file.name, "key `", "[log]", "t.toml")
    try:
        raw = {"experiment": {"name": "t"}, "log": keys | {"path": str(file)}, "run": {"threads": 1}}
        for other in ("creators", "exclude", "facts", "received", "stickers", "dataset", "engine", "master"):
            raw["log"].pop(other, None)
        experiment = config.parse(raw, "t.toml")
        tables = events.read_log(experiment, stage)
        _as_promised(tables, stage, experiment)  # which reads columns that nobody has looked at before
    except REFUSALS as error:
        return one_sentence(error, names)
    expected = _rows_of(file, experiment)
    read = int(tables["log_summary"]["rows_read"].iloc[0])
    if expected is not None and read != expected:
        raise Broken(f"{read} rows read, {expected} are in the file")
    return "read" if tables["filters"]["rows_removed"].sum() == 0 else "read, rows removed"


def _as_promised(tables: dict[str, pd.DataFrame], stage: Path, experiment: config.Experiment) -> None:
    for name in TOLD:
        CONTRACTS[name].check(tables[name])
    summary, filters = tables["log_summary"].iloc[0], tables["filters"]
    if summary["rows"] + filters["rows_removed"].sum() != summary["rows_read"]:
        raise Broken("rows kept and rows removed are not all rows")
    with events.open_daily(experiment, stage) as acts:
        daily = acts.to_pyarrow().to_pandas()
    c.DAILY.check(daily)
    with events.open_log(experiment, stage) as log:
        kept = log.to_pyarrow()
    if not daily["n"].sum() == len(kept) == summary["rows"]:
        raise Broken(f"{daily['n'].sum()} rows by day, {len(kept)} in the log, {summary['rows']} in the summary")
    if unfinished := [p.name for p in stage.iterdir() if p.name.startswith(".")]:
        raise Broken(f"left behind: {unfinished}")


def _rows_of(file: Path, experiment: config.Experiment) -> int | None:
    """How many rows a file has by other means; None where they would not agree on what a row is."""
    if file.suffix == ".parquet":
        import pyarrow.parquet as pq

        return pq.read_metadata(file).num_rows
    content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    content = content.removeprefix(b"\xef\xbb\xbf")
    if b'"' in content or len(re.split(rb"[,;\t|]", re.split(rb"\r\n|\r|\n", content, maxsplit=1)[0])) < 2:
        return None
    return sum(bool(line) for line in re.split(rb"\r\n|\r|\n", content)[1:])


# --- the experiment file --------------------------------------------------------------------------
def _experiments() -> tuple[bytes, ...]:
    shipped = Path(__file__).parents[2] / "experiments"
    readme = (shipped.parent / "README.md").read_text(encoding="utf-8")
    blocks = re.findall(r"```toml\n(.*?)```", readme, flags=re.DOTALL)
    return (*(f.read_bytes() for f in sorted(shipped.glob("*.toml"))), *(b.encode() for b in blocks))


def enter_experiment(data: bytes, folder: Path) -> str:
    """Bytes → an Experiment that can be written down and read again; or a refusal."""
    file = folder / "x.toml"
    file.write_bytes(data)
    try:
        experiment = config.load(file)
    except REFUSALS as error:
        return one_sentence(error, ("x.toml",))
    written = json.dumps(experiment.model_dump(mode="json"), allow_nan=False)
    again = json.loads(written)
    again = {k: v for k, v in again.items() if k != "simulation" or experiment.log.simulated}
    if config.parse(again, "again") != experiment.model_copy(update={}):
        raise Broken("is another experiment when it is written and read again")
    return "an experiment"


# --- lists ----------------------------------------------------------------------------------------
USERS = pd.Series(np.arange(1, 7))


def _lists() -> tuple[bytes, ...]:
    made = pd.DataFrame(
        {"user_id": [1, 2, 3, 4], "anchor_day": "2024-02-01", "segment": ["priority", "priority", "rest", "관리우선"],
         "p_churn": [0.9, 0.8, 0.1, 0.7], "p_sticker": [0.5, None, 0.1, 0.2], "holdout": [True, False, None, False],
         "contacted_on": ["2024-02-03", None, "3.2.2024", "2024/02/04"], "reason_1_feature": "history:x",
         "outcome_days": 7}
    )  # fmt: skip
    made.loc[3, "segment"] = "priority"
    text = made.to_csv(index=False)
    ways = [b"contacts", b"list", b"creators", b"exclude", b"facts", b"cells"]
    forms = [text.encode(), text.replace(",", ";").encode("utf-8-sig"), text.replace(",", "\t").encode("utf-16"),
             text.encode("cp949"), _parquet(made), gzip.compress(text.encode(), mtime=0)]  # fmt: skip
    endings = [b".csv", b".csv", b".tsv", b".csv", b".parquet", b".csv.gz"]
    return tuple(w + e + b"\n" + f for w in ways for e, f in zip(endings, forms, strict=True))


def enter_list(data: bytes, folder: Path) -> str:
    """Bytes → contacts, past lists, users to keep or to leave out, facts, or cells; or a refusal."""
    head, _, content = data.partition(b"\n")
    way, _, ending = head.decode("ascii", "replace").partition(".")
    file = folder / f"list.{ending if ending in ('csv', 'tsv', 'parquet', 'csv.gz') else 'csv'}"
    file.write_bytes(content)
    try:
        return _WAYS.get(way, _cells)(file, folder)
    except REFUSALS as error:
        return one_sentence(error, (file.name, "key `"))


def _contacts(file: Path, _: Path) -> str:
    found, read = contacts.contacts([file], USERS)
    c.CONTACTS.check(found)
    c.CONTACTS_READ.check(read)
    row = read.iloc[0]
    if not row["contacts"] <= row["contacted"] <= row["rows"] or not set(found["user_id"]) <= set(USERS):
        raise Broken(f"contacts that are not of the file: {row.to_dict()}")
    return "contacts"


def _past(file: Path, _: Path) -> str:
    rows = past_lists.read_lists([file], 7)
    rows = past_lists.identified(rows, USERS, None)
    group, everybody = past_lists.followed(rows)
    if len(group) > len(rows) or len(everybody) > len(rows) or not rows["p_churn"].between(0, 1).all():
        raise Broken("a list that is not of the file")
    return "a list"


def _by_the_log(key: str) -> Any:
    def enter(file: Path, folder: Path) -> str:
        log = folder / "good.csv"
        days = [f"{user},2024-01-{day:02d},a\n" for user in USERS for day in range(1, 9)]
        log.write_text("user_id,timestamp,event\n" + "".join(days))
        (folder / "stage").mkdir()
        raw = {"experiment": {"name": "t"}, "log": {"path": str(log), key: str(file)}, "run": {"threads": 1}}
        experiment = config.parse(raw, "t.toml")
        _as_promised(events.read_log(experiment, folder / "stage"), folder / "stage", experiment)
        return f"{key} read"

    return enter


def _cells(file: Path, _: Path) -> str:
    frame = spreadsheet.read(file, ())
    for name in frame.columns[:3]:
        cells = frame[name].iloc[:, 0] if isinstance(frame[name], pd.DataFrame) else frame[name]
        for read in (spreadsheet.days, spreadsheet.numbers, spreadsheet.flags):
            try:
                found = read(cells, f"{file}, column")
            except REFUSALS as error:
                one_sentence(error, (file.name,))
                continue
            if (found.notna() & cells.isna()).any():
                raise Broken(f"{read.__name__} finds something in an empty cell")
    return "cells"


_WAYS = {"contacts": _contacts, "list": _past, "cells": _cells,
         **{key: _by_the_log(key) for key in ("creators", "exclude", "facts")}}  # fmt: skip

_KEYS = [b"[log]", b"[log.columns]", b"[targets.sticker]", b"path = ", b"timezone = 'Asia/Seoul'", b"= true", b"= inf",
         b"= nan", b"= [", b"[" * 300, b"a." * 300, b"{", b"}", b"'''", b'"""', b"\\u0000", b"1979-05-27T07:32:00Z",
         b"postgresql://u:p@h/d", b"9" * 5000]  # fmt: skip
_ENDINGS = [b".csv", b".parquet", b"contacts", b"list", b"facts", b"creators"]
DOORS = {
    "log": lambda: Door("log", _log_inputs(), [b"refuse", b"timestamp", b"user_id", b"PAR1"], enter_log),
    "experiment": lambda: Door("experiment", _experiments(), _KEYS, enter_experiment),
    "lists": lambda: Door("lists", _lists(), [*_ENDINGS, b"user_id", b"2024-02-03", b"1.5E+15"], enter_list),
}
SHARES = {"log": 0.6, "experiment": 0.15, "lists": 0.25}  # of the time
