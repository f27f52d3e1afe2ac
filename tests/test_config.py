"""Experiment files: every mistake gets one sentence that names the key."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tschurn import config
from tschurn.errors import ConfigError

MINIMAL = {"experiment": {"name": "x"}, "log": {"path": "events.csv"}}


def with_keys(**sections: dict) -> dict:
    return {k: {**MINIMAL.get(k, {}), **sections.get(k, {})} for k in {*MINIMAL, *sections}}


def test_defaults_work() -> None:
    experiment = config.parse(MINIMAL, "x.toml")
    assert (experiment.windows.observe_days, experiment.windows.outcome_days, experiment.windows.stride_days) == (
        7,
        7,
        7,
    )
    assert experiment.targets.sticker is None
    assert experiment.split.kind == "time"


@pytest.mark.parametrize(
    ("sections", "told"),
    [
        ({"windows": {"observe_dais": 7}}, ["`windows.observe_dais`", "did you mean `observe_days`?"]),
        ({"log": {"columns": {"usr": "u"}}}, ["`log.columns.usr`", "did you mean `user`?"]),
        ({"targets": {"stiker": {"events": ["a"]}}}, ["`targets.stiker`", "did you mean `sticker`?"]),
        ({"windows": {"observe_days": "seven"}}, ["`windows.observe_days`", "'seven'"]),
        ({"windows": {"observe_days": 0}}, ["`windows.observe_days`", "greater than or equal to 1"]),
        ({"log": {"timezone": "Asia/Seul"}}, ["`log.timezone`", "did you mean `Asia/Seoul`?"]),
        ({"log": {"dataset": "complete_journey"}}, ["[log]", "one of the two"]),
        ({"log": {"engine": "mysql"}}, ["`log.engine`", "'postgres'"]),
        ({"log": {"engine": "postgres"}}, ["[log]", "postgresql://"]),
        ({"log": {"path": "postgresql://u@h/d", "engine": "spark"}}, ["[log]", "postgresql://"]),
        ({"log": {"master": "local[2]"}}, ["[log]", "`master`"]),
        ({"log": {"post_events": ["post"]}}, ["[log]", "`reply_events`"]),
        ({"log": {"received": {"path": "x.csv", "colums": {}}}}, ["`log.received.colums`", "did you mean `columns`?"]),
        ({"split": {"kind": "roling"}}, ["`split.kind`", "'rolling'"]),
        ({"contacts": {"include": True}}, ["`contacts.path`", "missing"]),
        ({"costs": {"contact": 1}}, ["`costs.success`", "missing"]),
        ({"list": {"hold_out": 0.1}}, ["`list.hold_out`", "did you mean `holdout`?"]),
        ({"rfm": {"weights": [0, 0, 0]}}, ["[rfm]", "all 0"]),
        ({"rfm": {"classes": [0.5, 0.4, 0.2]}}, ["[rfm]", "add up to 1.1"]),
        ({"segments": {"value": 1.5}}, ["[segments]", "at most 1"]),
        ({"segments": {"threshold": "capacity"}}, ["[segments]", "`capacity`"]),
        ({"experiment": {"name": "../out"}}, ["`experiment.name`"]),
        ({"simulation": {"creators": 100}}, ["my.toml: [simulation] is for `dataset", "creator_platform"]),
        ({"targets": {"sticker": {"events": []}}}, ["`targets.sticker.events`"]),
    ],
)
def test_a_mistake_is_one_sentence_that_names_the_key(sections: dict, told: list[str]) -> None:
    with pytest.raises(ConfigError) as caught:
        config.parse(with_keys(**sections), "my.toml")
    message = str(caught.value)
    assert message.startswith("my.toml: ") and "\n" not in message
    for part in told:
        assert part in message


@pytest.mark.parametrize(
    ("sections", "told"),
    [
        ({"simulation": {"creators": 5}}, "`simulation.creators`"),
        ({"simulation": {"creator": 50}}, "did you mean `creators`?"),
        ({"log": {"creators": "mine.csv"}}, 'my.toml: `dataset = "creator_platform"` brings its own'),
        ({"log": {"timezone": "UTC"}}, "in Asia/Seoul"),
        ({"targets": {"churn": {"events": ["post"]}}}, "[targets.churn]"),
        ({"targets": {"sticker": {"events": ["sticker_small"]}}}, "[targets.sticker] events"),
        ({"targets": {"sticker": {"events": ["post"], "side": "own"}}}, "[targets.sticker] events"),
        ({"simulation": {"first_day": 1668038400}}, "a day such as"),
    ],
)
def test_mistakes_about_a_simulated_log(sections: dict, told: str) -> None:
    raw = {"experiment": {"name": "x"}, "log": {"dataset": "creator_platform"} | sections.pop("log", {}), **sections}
    with pytest.raises(ConfigError) as caught:
        config.parse(raw, "my.toml")
    assert told in str(caught.value) and "\n" not in str(caught.value)


def test_the_platform_has_a_zone_of_its_own() -> None:
    raw = {"experiment": {"name": "x"}, "log": {"dataset": "creator_platform"}}
    assert config.parse(raw, "x.toml").log.timezone == "Asia/Seoul"


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://me:s3cret@host/db",
        "postgres://host/db?user=me&password=s3cret",
        "postgresql://:s3cret@h/d",
        "postgresql://me:s3#cret@host/db",
        "postgresql://me:s3/cret?@host/db",
        "postgresql://host/db?sslpassword=s3cret",
        "host=h dbname=d Password=s3cret",
    ],
)
@pytest.mark.parametrize("key", ["path", "received", "facts"])
def test_a_password_is_refused_and_not_repeated(url: str, key: str) -> None:
    log = {"path": url} if key == "path" else {"path": "x.csv", key: {"path": url} if key == "received" else url}
    with pytest.raises(ConfigError) as caught:
        config.parse({"experiment": {"name": "x"}, "log": log}, "x.toml")
    assert "PGPASSWORD" in str(caught.value) and not re.search("s3.?cret", str(caught.value))
    with pytest.raises(ConfigError) as caught:  # a mistake elsewhere does not repeat it either
        config.parse({"experiment": {"name": "x"}, "log": {"path": "x.csv", "timezone": url}}, "x.toml")
    assert not re.search("s3.?cret", str(caught.value))


@pytest.mark.parametrize(
    "url", ["mysql://me:s3cret@h/d", "PostgreSQL://me:s3cret@h/d", "postgresql+psycopg://u:s3cret@h/d"]
)
def test_an_address_that_nobody_reads_is_refused_and_not_repeated(url: str) -> None:
    with pytest.raises(ConfigError, match="postgresql://") as caught:
        config.parse({"experiment": {"name": "x"}, "log": {"path": url}}, "x.toml")
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize("content", [b"[experiment\n", b"a = \xff", b"\x00\x01"])
def test_what_is_not_toml_is_said(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "x.toml"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match=r"x\.toml: is not"):
        config.load(file)


def test_a_missing_file_suggests_its_neighbour(tmp_path: Path) -> None:
    (tmp_path / "oulad.toml").touch()
    with pytest.raises(ConfigError, match=r"no such experiment file; did you mean .*oulad\.toml"):
        config.load(tmp_path / "oulat.toml")


@given(
    st.recursive(
        st.one_of(st.none(), st.booleans(), st.integers(), st.text(max_size=9)),
        lambda inner: st.dictionaries(st.text(max_size=9), inner, max_size=3),
        max_leaves=6,
    )
)
def test_anything_else_is_refused_in_one_sentence(value: object) -> None:
    try:
        config.parse({**MINIMAL, "windows": value}, "x.toml")
    except ConfigError as error:
        assert "\n" not in str(error)


@pytest.mark.parametrize(
    "file", sorted((Path(__file__).parent.parent / "experiments").glob("*.toml")), ids=lambda f: f.stem
)
def test_the_shipped_experiments_are_valid(file: Path) -> None:
    assert config.load(file).experiment.name == file.stem
