"""The whole process map: its tables, the model as an extra, and what is left where there is nothing to map."""

import subprocess
import sys
from datetime import timedelta

import pandas as pd
import pytest
from exploration.process_oracle import FIRST, frame_of, random_events

from tschurn import contracts
from tschurn.exploration.discovery import NOT_INSTALLED
from tschurn.exploration.followed_by import Blocks
from tschurn.exploration.process_map import STAGES, explore_process

LOG = {"only_days": False, "last_day": FIRST + timedelta(days=45)}
BLOCKS = Blocks(FIRST, FIRST + timedelta(days=38), 7, 7)


@pytest.fixture(scope="module")
def log(to_log):
    return to_log(random_events(1500, 60, 40, 5))


def explored(log, experiment, only_days=False, blocks=BLOCKS, **more):
    tables = explore_process(log, LOG | {"only_days": only_days}, blocks, experiment().targets, **more)
    for name, frame in tables.items():
        getattr(contracts, name.upper()).check(frame)
    return tables


@pytest.mark.parametrize("only_days", [False, True])
def test_the_summary_adds_up(log, experiment, tmp_path, only_days):
    calls = []
    tables = explored(
        log, experiment, only_days, progress=lambda *call: calls.append(call[:3]), users_csv=tmp_path / "u.csv"
    )
    row, graph = tables["process_summary"].iloc[0], tables["directly_follows"]
    whole = graph[graph["group"] == "all"]
    assert whole["n"].sum() == row["cases"] + row["steps"]
    reached = graph[graph["target"].notna()].groupby("group")["n"].sum()
    assert (row["churned_steps"], row["stayed_steps"]) == (reached["churned"], reached["stayed"])
    assert row["path_users_share"] == 1 and (tmp_path / "u.csv").is_file()
    assert calls == [("process", done, STAGES) for done in range(STAGES + 1)]


def test_the_model_is_a_tree_of_the_steps(log, experiment):
    pytest.importorskip("pm4py")
    tables = explored(log, experiment, True)
    tree, row = tables["process_model"], tables["process_summary"].iloc[0]
    assert row["discovery"] == "pm4py" and row["model_steps"] == row["steps"]  # few enough for all users
    assert 0 < row["fitness"] <= 1 and 0 < row["precision"] <= 1
    assert set(tree.loc[tree["kind"] == "step", "label"]) <= set(tables["directly_follows"]["target"].dropna())
    assert (
        tree["depth"].iloc[0] == 0 and (tree["depth"].diff().iloc[1:] <= 1).all() and (tree["depth"].iloc[1:] > 0).all()
    )
    assert "new" in set(tree["label"].dropna())


def test_a_plain_sequence_is_found(to_log, experiment):
    pytest.importorskip("pm4py")
    rows = [(u, 0, 60 * i, True, name) for u in range(1, 9) for i, name in enumerate("abc")]
    tables = explored(to_log(frame_of(rows)), experiment)
    tree = tables["process_model"]
    assert list(tree["kind"]) == ["sequence", "step", "step", "step"]
    assert list(tree["label"].dropna()) == ["a", "b", "c"]
    assert tables["process_summary"][["fitness", "precision"]].to_numpy().tolist() == [[1.0, 1.0]]


def test_without_pm4py_only_the_model_is_missing(log, experiment, monkeypatch):
    before = explored(log, experiment, True)
    monkeypatch.setitem(sys.modules, "pm4py", None)  # what an import of a missing package meets
    tables = explored(log, experiment, True)
    assert tables["process_model"].empty
    assert tables["process_summary"]["discovery"].item() == NOT_INSTALLED
    for name in ("directly_follows", "follows_difference", "variants", "paths"):
        pd.testing.assert_frame_equal(tables[name], before[name])


def test_pm4py_stays_silent():
    """In a fresh process, user warnings shown: pm4py prints a banner when a script imports it directly."""
    pytest.importorskip("pm4py")
    code = """if True:
        import ibis, pandas as pd
        from tschurn.exploration.cases import Cases
        from tschurn.exploration.discovery import discover
        steps = pd.DataFrame({"user_id": 1, "case": 0, "position": [0, 1], "step": ["a", "b"]})
        assert discover(Cases(ibis.memtable(steps), "session", "", 0.0), 2).discovery == "pm4py"
    """
    done = subprocess.run(
        [sys.executable, "-W", "always::UserWarning", "-c", code], capture_output=True, text=True, check=True
    )
    assert (done.stdout, done.stderr) == ("", "")


@pytest.mark.parametrize("only_days", [False, True])
@pytest.mark.parametrize("rows", [[(1, 0, 0, False, "a")], [(1, 0, 0, True, "a")]], ids=["nothing own", "one event"])
def test_next_to_nothing(to_log, experiment, only_days, rows, tmp_path):
    tables = explored(to_log(frame_of(rows)), experiment, only_days, users_csv=tmp_path / "users.csv")
    own = rows[0][3]
    assert tables["process_summary"]["cases"].item() == int(own)
    assert len(tables["paths"]) == (0 if not own else 3 if only_days else 1)
    if not own:
        assert tables["process_summary"]["discovery"].item() == "no cases"
    assert tables["follows_difference"].empty


@pytest.mark.parametrize("until", [None, FIRST])
def test_no_outcome_no_groups(log, experiment, until):
    tables = explored(log, experiment, blocks=Blocks(FIRST, until, 7, 7))
    assert set(tables["directly_follows"]["group"]) == set(tables["variants"]["group"]) == {"all"}
    assert tables["follows_difference"].empty and tables["paths"]["churned_share"].isna().all()
