"""Secrets in an experiment file or the environment: never in a message, never in what a run writes."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tschurn import config, events
from tschurn.errors import ConfigError, UserError
from tschurn.runs import Run

LETTERS = st.text("abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789", min_size=8, max_size=24)
MARKS = st.sampled_from(["", "!", "%40", "#", "/", ":", "?", "&x", " y", "'", '"', "@", "="])
SECRETS = st.builds(lambda a, mark, b: f"S{a}{mark}Z{b}", LETTERS, MARKS, LETTERS)
# What values may look like (`{}` is the secret), and where they may stand.
TEXTS = ["postgresql://me:{}@host/db", "postgres://host/db?user=me&password={}", "mysql://me:{}@h/d", "password={}",
         "host=h Password = '{}'", "https://u:{}@h:8080/x", "postgresql://h/d?pass%77ord={}", "api_key: {}",
         "Authorization token={}", "spark://u:{}@h:7077"]  # fmt: skip
PLACES = [
    "log.path", "log.received.path", "log.stickers.path", "log.creators", "log.exclude", "log.facts", "log.master",
    "log.timezone", "log.engine", "log.columns.user", "log.since", "log.dataset", "contacts.path", "models.use",
    "experiment.name", "experiment.seed", "experiment.language", "windows.observe_days", "windows", "log",
    "targets.churn.events", "targets.sticker.side", "segments.share", "run.threads", "nonsense", "log.nonsense",
    "actions.x", "list.holdout", "rfm.weights", "profiles.ratio", "explain.levers",
]  # fmt: skip
NAMES = ["password", "db_password", "PGPASSWORD", "secret", "api_key", "token", "passwd", "credentials"]


def with_value(place: str, value: object) -> dict:
    """A small experiment with this value at this key."""
    raw: dict = {"experiment": {"name": "x"}, "log": {"path": "x.csv"}}
    *sections, key = place.split(".")
    inside = raw
    for section in sections:
        inside = inside.setdefault(section, {})
    inside[key] = value
    return raw


def told(raw: dict) -> str:
    """What is said of an experiment; nothing where it is one."""
    try:
        config.parse(raw, "x.toml")
    except ConfigError as error:
        assert "\n" not in str(error) and len(str(error)) < 1000
        return str(error)
    return ""


@given(SECRETS, st.sampled_from(TEXTS), st.sampled_from(PLACES), st.sampled_from(["text", "list", "table"]))
@example("S2345678%40Zaaaaaaaa", "postgresql://h/d?pass%77ord={}", "contacts.path", "text")
def test_a_secret_in_a_text_is_not_repeated(secret: str, text: str, place: str, form: str) -> None:
    value = text.format(secret)
    said = told(with_value(place, {"text": value, "list": [value], "table": {"x": value}}[form]))
    assert secret not in said and secret.split("Z")[0] not in said


@given(SECRETS, st.sampled_from(NAMES), st.sampled_from(["", "log.", "contacts.", "run.", "list.", "log.columns."]))
def test_nor_the_value_of_a_key_that_names_one(secret: str, name: str, section: str) -> None:
    raw = with_value(section + name, secret)
    raw.get("contacts", {}).setdefault("path", "x.csv")
    said = told(raw)
    assert name in said and "unknown key" in said and secret not in said
    assert secret not in told(with_value("windows", {name: secret, "observe_days": "seven"}))
    assert "12345678" not in told(with_value(f"actions.{name}", 12345678))  # where any key may stand


@given(SECRETS, st.sampled_from([t for t in TEXTS if "password" in t or "me:" in t or "u:" in t or "%77" in t]),
       st.sampled_from(["log.path", "log.received.path", "log.creators", "log.facts", "contacts.path", "actions.x",
                        "models.use", "log.columns.user", "targets.churn.events", "explain.levers"]))  # fmt: skip
def test_a_password_is_in_no_experiment_at_all(secret: str, text: str, place: str) -> None:
    """So that it is in no run folder either."""
    value: object = text.format(secret)
    assert told(with_value(place, [value] if place.endswith(("events", "levers")) else value))


@given(
    SECRETS, st.sampled_from(TEXTS), st.sampled_from(["", "'", '"', "\n", "[", "]]", "= =", "\\", "x"]), st.booleans()
)
def test_nor_by_a_file_that_is_not_toml(tmp_path_factory: pytest.TempPathFactory, secret: str, text: str, odd: str,
                                        key: bool) -> None:  # fmt: skip
    value = text.format(secret)
    line = f'"{value}" = 1\n"{value}" = 2' if key else f'path = "{value}"{odd}'
    file = tmp_path_factory.mktemp("x") / "x.toml"
    file.write_text(f'[experiment]\nname = "x"\n[log]\n{line}\n[log]', encoding="utf-8")
    with pytest.raises((tomllib.TOMLDecodeError, ValueError)):
        tomllib.loads(file.read_text(encoding="utf-8"))
    with pytest.raises(ConfigError) as caught:
        config.load(file)
    assert secret not in str(caught.value) and "\n" not in str(caught.value)


@given(SECRETS, st.sampled_from(TEXTS[:5]))
def test_nor_by_the_command_line(secret: str, text: str) -> None:
    experiment = config.parse(with_value("windows.observe_days", 7), "x.toml")
    with pytest.raises(ConfigError) as caught:
        config.with_log(experiment, text.format(secret))
    assert secret not in str(caught.value)


def test_what_the_environment_holds_is_written_nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = {"PGPASSWORD": "hunter2-hunter2", "TSCHURN_PSEUDONYM_KEY": "0123456789-keep-me"}
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    log = tmp_path / "log.csv"
    log.write_text("user_id,timestamp,event\n" + "".join(f"1,2024-01-{d:02d},a\n" for d in range(1, 9)))
    experiment = config.parse(with_value("log.path", str(log)) | {"list": {"pseudonyms": True}}, "x.toml")
    with Run(tmp_path / "run") as run:
        events.read_log(experiment, run.stages)
        run.write_manifest(experiment.model_dump(mode="json"), {})
    with pytest.raises(UserError) as caught, Run(tmp_path / "run"):
        nobody = "postgresql://me@127.0.0.1:9/db?table=t&connect_timeout=1"
        events.read_log(config.parse(with_value("log.path", nobody), "x.toml"), tmp_path)
    written = [f.read_bytes() for f in (tmp_path / "run").rglob("*") if f.is_file()]
    assert written
    for secret in secrets.values():
        assert not any(secret.encode() in content for content in written)
        assert secret not in str(caught.value) and secret not in repr(caught.value.__cause__)
