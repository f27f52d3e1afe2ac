"""Pseudonyms: the same for the same secret, and the secret never told."""

import hashlib
import hmac

import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tschurn.errors import ConfigError
from tschurn.segments import pseudonyms as module
from tschurn.segments.pseudonyms import pseudonyms, secret

KEY = b"0123456789abcdef"


@given(st.lists(st.text(max_size=8), unique=True, max_size=20))
def test_they_are_the_hmac_of_the_id(ids):
    found = pseudonyms(pd.Series(ids, dtype="str"), KEY)
    assert found.tolist() == ["u" + hmac.new(KEY, i.encode(), hashlib.sha256).hexdigest()[:16] for i in ids]


def test_a_known_answer_and_numbers_as_texts():
    numbers = pseudonyms(pd.Series([5, -7], name="user_id"), KEY)
    assert numbers.tolist() == pseudonyms(pd.Series(["5", "-7"]), KEY).tolist()
    assert numbers.name == "user_id" and numbers.nunique() == 2
    assert pseudonyms(pd.Series([5]), b"another secret 1").iloc[0] != numbers.iloc[0]


def test_no_spreadsheet_takes_one_for_a_number():
    found = pseudonyms(pd.Series(range(5000)), KEY)
    assert found.str.fullmatch("u[0-9a-f]{16}").all()
    assert pd.to_numeric(found, errors="coerce").isna().all()
    # without the letter some would be numbers
    assert pd.to_numeric(found.str[1:], errors="coerce").notna().any()


def test_two_users_with_one_pseudonym_are_refused(monkeypatch):
    monkeypatch.setattr(module, "DIGITS", 2)
    with pytest.raises(ConfigError, match="TSCHURN_PSEUDONYM_KEY") as error:
        pseudonyms(pd.Series(range(300)), KEY)
    assert KEY.decode() not in str(error.value)


@pytest.mark.parametrize("key", [None, "", "fifteen chars..", " " * 20, "fifteen chars..   "])
def test_a_missing_or_short_secret_gets_a_sentence_that_does_not_tell_it(monkeypatch, key):
    monkeypatch.delenv("TSCHURN_PSEUDONYM_KEY", raising=False)
    if key is not None:
        monkeypatch.setenv("TSCHURN_PSEUDONYM_KEY", key)
    with pytest.raises(ConfigError, match="TSCHURN_PSEUDONYM_KEY") as error:
        secret()
    assert "16 characters" in str(error.value) and "fifteen" not in str(error.value)


def test_the_secret_comes_from_the_environment(monkeypatch):
    monkeypatch.setenv("TSCHURN_PSEUDONYM_KEY", "비밀 0123456789abcdef\n")
    assert secret() == "비밀 0123456789abcdef".encode()
