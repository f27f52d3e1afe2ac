"""Paths against loops, and the file of the users behind each link: everybody in it, and no cell that is a formula."""

import csv
from collections import Counter, defaultdict
from datetime import timedelta

import pandas as pd
import pytest
from exploration.process_oracle import FIRST, ROWS, fetched, frame_of, random_events
from hypothesis import given, settings

from tschurn.contracts import PATHS
from tschurn.exploration import paths as module
from tschurn.exploration.cases import find_cases
from tschurn.exploration.followed_by import Blocks
from tschurn.exploration.paths import COLUMNS, PATH_STEPS, links, paths, write_users

LAST = FIRST + timedelta(days=45)
BLOCKS = Blocks(FIRST, FIRST + timedelta(days=38), 7, 7)


def slow_links(rows):
    """Case by case, with the eight most frequent names among the first six steps → link → users with their cases, and
    what followed."""
    counts = Counter(row["step"] for row in rows if row["position"] < 6)
    top = sorted(counts, key=lambda name: (-counts[name], name))[:8]
    folded = {None: None, **{name: name if name in top else "other" for name in counts}}
    found = defaultdict(lambda: (Counter(), []))
    for row in rows:
        if row["position"] < 5:
            target = folded.get(row["next"], "other")
            users, churned = found[row["position"] + 1, folded[row["step"]], target]
            users[row["user_id"]] += 1
            churned.append(row["churned"])
    return found


def check(cases):
    frame = paths(cases, links(cases))
    PATHS.check(frame)
    rows = fetched(cases.steps)
    expected = slow_links(rows)
    starts = sum(row["position"] == 0 for row in rows)
    stands = Counter()
    for (step, source, _), (users, _) in expected.items():
        stands[step, source] += users.total()
    assert len(frame) == len(expected)
    for row in frame.itertuples():
        users, churned = expected[row.step, row.source, row.target if pd.notna(row.target) else None]
        known = [c for c in churned if c is not None]
        assert (row.n, row.users) == (users.total(), len(users))
        assert row.share_of_start == pytest.approx(row.n / starts)
        assert row.share_of_previous == pytest.approx(row.n / stands[row.step, row.source])
        if cases.kind == "session" and known:
            assert row.churned_share == pytest.approx(sum(known) / len(known))
        else:
            assert pd.isna(row.churned_share)


@settings(derandomize=True, deadline=None, max_examples=15)
@given(rows=ROWS)
@pytest.mark.parametrize("lives", [False, True])
def test_paths_equal_the_slow_version(to_log, experiment, lives, rows):
    check(find_cases(to_log(frame_of(rows)), lives, LAST, experiment().targets, BLOCKS))


@pytest.fixture(scope="module")
def cases(to_log, experiment):
    """Sessions of up to many steps, with more names than the paths have."""
    return find_cases(to_log(random_events(4000, 60, 10, 12)), False, LAST, experiment().targets, BLOCKS)


def test_rare_names_are_folded_and_what_arrives_goes_on(cases):
    check(cases)
    frame = paths(cases, links(cases))
    for step in range(1, PATH_STEPS - 1):
        went_on = frame[(frame["step"] == step) & frame["target"].notna()].groupby("target")["n"].sum()
        assert went_on.to_dict() == frame[frame["step"] == step + 1].groupby("source")["n"].sum().to_dict()
    assert set(frame["source"]) == {f"event {i:02}" for i in range(8)} | {"other"}


def read(path):
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file))
    assert tuple(rows[0]) == COLUMNS
    return rows[1:]


def test_everybody_behind_a_link_is_in_the_file(cases, tmp_path):
    assert write_users(links(cases), tmp_path / "users.csv") == 1
    found = {(int(s), a, b or None, int(u)): int(n) for s, a, b, u, n in read(tmp_path / "users.csv")}
    expected = slow_links(fetched(cases.steps))
    assert found == {(*link, user): n for link, (users, _) in expected.items() for user, n in users.items()}
    assert [path.name for path in tmp_path.iterdir()] == ["users.csv"]


def test_too_many_rows_leave_out_whole_users(cases, tmp_path, monkeypatch):
    write_users(links(cases), tmp_path / "all.csv")
    whole = read(tmp_path / "all.csv")
    monkeypatch.setattr(module, "MOST_ROWS", len(whole) // 2)
    share = write_users(links(cases), tmp_path / "some.csv")
    assert share == pytest.approx(0.5, abs=0.01)
    some = read(tmp_path / "some.csv")
    users = {row[3] for row in some}
    assert 0.2 < len(users) / len({row[3] for row in whole}) < 0.8
    assert some == [row for row in whole if row[3] in users]


def test_no_cell_is_a_formula_and_ids_may_be_hidden(to_log, experiment, tmp_path):
    rows = [(1, 0, 0, True, "=cmd|' /C calc'!A0"), (1, 0, 60, True, "@a;=1+1"), (1, 0, 120, True, "plain")]
    log = to_log(frame_of(rows))
    log = log.mutate(
        user_id=log.user_id.cast("string").replace("1", "+1"), actor_id=log.actor_id.cast("string").replace("1", "+1")
    )
    taken = links(find_cases(log, False, LAST, experiment().targets, BLOCKS))
    write_users(taken, tmp_path / "users.csv")
    cells = [cell for row in read(tmp_path / "users.csv") for cell in row]
    assert "'=cmd|' /C calc'!A0" in cells and "'@a;'=1+1" in cells and "'+1" in cells
    assert not [cell for cell in cells if cell[:1] in ("=", "+", "-", "@")]
    write_users(taken, tmp_path / "hidden.csv", lambda ids: "p" + ids.str.removeprefix("+"))
    assert {row[3] for row in read(tmp_path / "hidden.csv")} == {"p1"}


def test_nothing_is_left_where_writing_fails(cases, tmp_path):
    def fails(ids):
        raise ValueError("no secret")

    with pytest.raises(ValueError, match="no secret"):
        write_users(links(cases), tmp_path / "users.csv", fails)
    assert list(tmp_path.iterdir()) == []


def test_no_cases_no_paths(to_log, experiment, tmp_path):
    cases = find_cases(to_log(frame_of([(1, 0, 0, False, "a")])), False, LAST, experiment().targets, BLOCKS)
    taken = links(cases)
    assert PATHS.check(paths(cases, taken)).num_rows == 0
    assert write_users(taken, tmp_path / "users.csv") == 1 and read(tmp_path / "users.csv") == []
