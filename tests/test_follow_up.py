"""The loop closed: past lists, filled in by the callers, against the log as it is now; through the command line."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from synthetic import FIRST
from test_cli import Call, Write, refused

from tschurn.segments import export, pseudonyms

ANCHORS = (48, 55, 62, 69)
STICKER = '[targets.sticker]\nevents = ["sticker"]\n'
Lists = dict[int, pd.DataFrame]


def days_of(log: pd.DataFrame) -> pd.Series:
    return (log["timestamp"].dt.normalize() - FIRST).dt.days


def what_happened(log: pd.DataFrame, user: object, anchor: int) -> tuple[bool, bool, bool]:
    """Plainly from the raw log: eligible, churned, sticker."""
    day, mine = days_of(log), log["user_id"] == user
    own = mine & (log["actor_id"] == log["user_id"])
    after = day.between(anchor + 1, anchor + 7)
    return (
        bool((own & day.between(anchor - 6, anchor)).any()),
        not (own & after).any(),
        bool((mine & ~own & after & (log["event"] == "sticker")).any()),
    )


def make_lists(log: pd.DataFrame, held: float = 0.4, seed: int = 0) -> Lists:
    """Everybody eligible at each anchor with honest-looking scores; the better half is the priority group."""
    random = np.random.default_rng(seed)
    found = {}
    for anchor in ANCHORS:
        users = [u for u in log["user_id"].unique() if what_happened(log, u, anchor)[0]]
        day = (FIRST + pd.Timedelta(days=anchor)).date()
        scores = pd.DataFrame({"user_id": users, "p_churn": random.uniform(0.05, 0.6, len(users)).round(4)})
        scores = scores.sort_values("p_churn", ascending=False, ignore_index=True)
        listed = np.arange(len(users)) < len(users) // 2
        found[anchor] = scores.assign(
            anchor_day=day, segment=np.where(listed, "priority", "rest"), p_sticker=0.3,
            holdout=listed & (random.random(len(users)) < held), contacted_on=None,
            reason_1_feature=np.where(random.random(len(users)) < 0.5, "history:recency", "own:post:count"),
        )  # fmt: skip
    return found


def call(lists: Lists, skip: float = 0.0, seed: int = 0) -> Lists:
    """The callers write down whom they reached, two days after the anchor."""
    random = np.random.default_rng(seed)
    return {
        anchor: frame.assign(
            contacted_on=np.where(
                (frame["segment"] == "priority") & ~frame["holdout"] & (random.random(len(frame)) >= skip),
                frame["anchor_day"].iloc[0] + timedelta(days=2), None,
            )
        )
        for anchor, frame in lists.items()
    }  # fmt: skip


def stay(log: pd.DataFrame, lists: Lists) -> pd.DataFrame:
    """Whoever was contacted posts the day after."""
    reached = pd.concat(lists.values()).dropna(subset="contacted_on")
    at = pd.to_datetime(reached["contacted_on"]) + pd.Timedelta(days=1, hours=12)
    acts = pd.DataFrame({"user_id": reached["user_id"], "actor_id": reached["user_id"], "timestamp": at,
                         "event": "post", "value": 1.0})  # fmt: skip
    return pd.concat([log, acts], ignore_index=True)


@pytest.fixture
def save(tmp_path: Path) -> Callable[[Lists], list[Path]]:
    def save(lists: Lists, group: bool = True) -> list[Path]:
        paths = []
        for anchor, frame in lists.items():
            paths.append(tmp_path / f"{'list' if group else 'scores'}_{anchor}.csv")
            export.write_csv(frame[frame["segment"] == "priority"] if group else frame, paths[-1])
        return paths

    return save


def results(folder: Path) -> dict:
    return json.loads((folder / "follow_up.json").read_text(encoding="utf-8"))


def test_a_planted_effect_is_found_as_assigned(
    tschurn: Call, write_experiment: Write, log_frame, save, tmp_path
) -> None:
    lists = call(make_lists(log_frame), skip=0.1)
    log = stay(log_frame, lists)
    experiment = write_experiment(log, STICKER)
    code, out, err = tschurn("follow-up", *save(lists), *save(lists, group=False), "--experiment", experiment)
    assert code == 0, err
    found = results(tmp_path)
    group = pd.concat(lists.values()).query("segment == 'priority'")
    listed = [(u, a) for a, part in lists.items() for u in part.query("segment == 'priority'")["user_id"]]
    churned = np.array([what_happened(log, user, anchor)[1] for user, anchor in listed])
    about = found["pooled"]
    assert about["windows"] == len(group) and about["weeks"] == len(ANCHORS)
    assert about["calibration"]["churn"]["group"]["observed"] == churned.sum()
    assert about["calibration"]["churn"]["group"]["expected"] == pytest.approx(group["p_churn"].sum(), abs=1e-3)
    held = group["holdout"].to_numpy(bool)
    assert about["contact"] == {
        "assigned": int((~held).sum()), "assigned_contacted": int(group["contacted_on"].notna().sum()),
        "held_out": int(held.sum()), "held_out_contacted": 0, "other_days": 0, "edited": 0,
    }  # fmt: skip
    effect = about["effect"]["churn"]
    assert effect["verdict"] == "fewer" and effect["high"] < 0
    assert effect["rate_assigned"] < 0.1 < effect["rate_held_out"]
    assert {row["reason"] for row in found["reasons"]} == {"recency", "own:post"}
    everybody = pd.concat(lists.values())
    assert about["lift"]["churn"]["share"] == pytest.approx(len(group) / len(everybody))
    assert "Contacting worked, as assigned" in out and "follow_up.html" in out
    assert "Contacting did harm" not in out
    assert len(found["lists"]) == len(ANCHORS)
    html = (tmp_path / "follow_up.html").read_text(encoding="utf-8")
    assert "Contacting worked" in html and "<script" not in html


def test_without_an_effect_nothing_is_claimed(
    tschurn: Call, write_experiment: Write, log_frame, save, tmp_path
) -> None:
    lists = call(make_lists(log_frame, seed=3))
    experiment = write_experiment(log_frame, STICKER)
    code, _, err = tschurn("follow-up", *save(lists), "--experiment", experiment, "--out", tmp_path / "out")
    assert code == 0, err
    effect = results(tmp_path / "out")["pooled"]["effect"]["churn"]
    assert effect["low"] < 0 < effect["high"] and effect["verdict"] in ("nothing", "too_small")


def test_few_held_out_say_how_long_it_takes(tschurn: Call, write_experiment: Write, log_frame, save, tmp_path) -> None:
    lists = call(make_lists(log_frame))
    one = {48: lists[48].assign(holdout=lambda f: f.index.isin([1, 20]))}
    code, out, err = tschurn("follow-up", *save(one), "--experiment", write_experiment(log_frame, STICKER))
    assert code == 0, err
    effect = results(tmp_path)["pooled"]["effect"]["churn"]
    assert effect["verdict"] == "too_small"
    assert all(row["weeks"] > 1 for row in effect["needed"])
    assert "Too few to tell" in out and "weeks of lists of this size" in out


def test_korean(tschurn: Call, write_experiment: Write, log_frame, save, tmp_path) -> None:
    lists = call(make_lists(log_frame))
    experiment = write_experiment(log_frame, STICKER)
    text = experiment.read_text(encoding="utf-8").replace("[log]", 'language = "ko"\n[log]', 1)
    experiment.write_text(text, encoding="utf-8")
    lists = {a: f.assign(segment=f["segment"].map(export.SEGMENT_NAMES["ko"])) for a, f in lists.items()}
    paths = []
    for anchor, frame in lists.items():
        paths.append(tmp_path / f"{anchor}.csv")
        frame.to_csv(paths[-1], index=False, encoding="cp949", sep=";")  # as a Korean or a German machine saves it
    code, out, err = tschurn("follow-up", *paths, "--experiment", experiment)
    assert code == 0, err
    assert "남겨 둔" in out and '<html lang="ko">' in (tmp_path / "follow_up.html").read_text(encoding="utf-8")


def test_lists_whose_outcome_is_not_known_are_left_out_and_told(
    tschurn: Call, write_experiment: Write, log_frame, save, tmp_path
) -> None:  # fmt: skip
    lists = call(make_lists(log_frame))
    cut = log_frame[days_of(log_frame) <= 70]
    code, out, err = tschurn("follow-up", *save(lists), "--experiment", write_experiment(cut, STICKER))
    assert code == 0, err
    assert out.count("is left out") == 1 and "2024-03-10" in out  # anchors 69
    assert results(tmp_path)["pooled"]["weeks"] == 3
    lonely = write_experiment(log_frame[days_of(log_frame) <= 50], STICKER)
    refused(tschurn("follow-up", *save(lists), "--experiment", lonely), "the log ends on 2024-02-20", "--log PATH")


def test_another_log_takes_the_place_of_the_old_one(
    tschurn: Call, write_experiment: Write, log_frame, save, tmp_path
) -> None:
    lists = call(make_lists(log_frame))
    old = write_experiment(log_frame[days_of(log_frame) <= 50], STICKER, log_keys="until = 2024-02-20")
    log_frame.to_csv(tmp_path / "new.csv", index=False)
    code, _, err = tschurn("follow-up", *save(lists), "--experiment", old, "--log", tmp_path / "new.csv")
    assert code == 0, err
    assert results(tmp_path)["pooled"]["weeks"] == 4


def test_a_log_without_the_weeks_of_the_list_is_refused(
    tschurn: Call, write_experiment: Write, log_frame, save
) -> None:
    late = write_experiment(log_frame[days_of(log_frame) > 69], STICKER)
    refused(tschurn("follow-up", *save(make_lists(log_frame)), "--experiment", late), "the log begins on 2024-03-11")


def test_pseudonyms_need_their_key(
    tschurn: Call, write_experiment: Write, log_frame, save, tmp_path, monkeypatch
) -> None:
    lists = call(make_lists(log_frame))
    hidden = {
        a: f.assign(user_id=pseudonyms.pseudonyms(f["user_id"], b"a secret of the team")) for a, f in lists.items()
    }
    experiment = write_experiment(log_frame, STICKER)
    monkeypatch.delenv("TSCHURN_PSEUDONYM_KEY", raising=False)
    refused(tschurn("follow-up", *save(hidden), "--experiment", experiment), "TSCHURN_PSEUDONYM_KEY")
    monkeypatch.setenv("TSCHURN_PSEUDONYM_KEY", "a secret of the others")
    refused(tschurn("follow-up", *save(hidden), "--experiment", experiment), "is it the key of that list?")
    monkeypatch.setenv("TSCHURN_PSEUDONYM_KEY", "a secret of the team")
    assert tschurn("follow-up", *save(hidden), "--experiment", experiment)[0] == 0
    told = results(tmp_path)
    assert tschurn("follow-up", *save(lists), "--experiment", experiment)[0] == 0
    assert told["pooled"] == results(tmp_path)["pooled"]


def test_mistakes_are_told_in_one_sentence(tschurn: Call, write_experiment: Write, log_frame, save, tmp_path) -> None:
    lists = {48: make_lists(log_frame)[48]}
    experiment = write_experiment(log_frame, STICKER)

    def told(*parts: str, **changed: object) -> None:
        frame = lists[48].assign(**changed)
        refused(tschurn("follow-up", *save({48: frame}), "--experiment", experiment), "list_48.csv", *parts)

    told("none of its ids", "'1001", user_id=lambda f: "1001" + f["user_id"].astype(str))
    told("rounded", "1.2E+15", user_id="1.2E+15")
    told("column `holdout`, row 1", "expected true or false", "'maybe'", holdout="maybe")
    told("`holdout`, row 1", "is empty", holdout=None)
    told("`p_churn`, row 1", "from 0 to 1", p_churn=3)
    told("`p_churn`, row 1", "expected a number", p_churn="high")
    told("`contacted_on`, row 1", "2024-02-03 or 2024-03-02", contacted_on="03/02/2024")
    told("`outcome_days`", "14", "the experiment has 7", outcome_days=14)
    path = save(lists)[0]
    pd.read_csv(path).rename(columns={"holdout": "hold_out"}).to_csv(path, index=False)
    refused(tschurn("follow-up", path, "--experiment", experiment), "no column `holdout`", "did you mean `hold_out`?")
    path = save(lists)[0]
    refused(tschurn("follow-up", path, path, "--experiment", experiment), "given twice")
    (tmp_path / "copy.csv").write_bytes(path.read_bytes())
    refused(tschurn("follow-up", path, tmp_path / "copy.csv", "--experiment", experiment), "the same list twice?")
    rest = lists[48].query("segment == 'rest'")
    rest.to_csv(path, index=False)
    refused(tschurn("follow-up", path, "--experiment", experiment), "nobody in it is of the priority group")
    refused(tschurn("follow-up", tmp_path / "no.csv", "--experiment", experiment), "no.csv: no such file")


def test_an_edited_holdout_is_told_and_the_draw_used(
    tschurn: Call, write_experiment: Write, log_frame, save, tmp_path
) -> None:
    lists = call(make_lists(log_frame))
    experiment = write_experiment(log_frame, STICKER)
    paths = save({48: lists[48]})
    assert tschurn("follow-up", *paths, "--experiment", experiment)[0] == 0
    drawn = results(tmp_path)["pooled"]["effect"]
    group = lists[48].query("segment == 'priority'")
    group.astype({"contacted_on": "datetime64[us]"}).to_parquet(paths[0].with_suffix(".parquet"))
    flipped = group.assign(holdout=group["holdout"] & (group.index > 5))
    save({48: flipped})
    code, out, _ = tschurn("follow-up", *paths, "--experiment", experiment)
    told = results(tmp_path)["pooled"]
    assert code == 0 and "is not what was drawn" in out
    assert told["contact"]["edited"] == (flipped["holdout"] != group["holdout"]).sum() > 0
    assert told["effect"] == drawn


def test_strangers_and_the_inactive_are_left_out_and_told(
    tschurn: Call, write_experiment: Write, log_frame, save, tmp_path
) -> None:
    lists = {48: make_lists(log_frame)[48]}
    quiet = next(u for u in log_frame["user_id"].unique()
                 if not what_happened(log_frame, u, 48)[0] and (log_frame["user_id"] == u).any())  # fmt: skip
    known = len(lists[48].query("segment == 'priority'"))
    more = lists[48].iloc[:2].assign(user_id=[999_999, quiet])
    code, out, err = tschurn("follow-up", *save({48: pd.concat([lists[48], more])}), "--experiment",
                             write_experiment(log_frame, STICKER))  # fmt: skip
    assert code == 0, err
    assert "999999" in out and "no act of their own" in out
    assert results(tmp_path)["pooled"]["windows"] == known
