"""ids → pseudonyms: the same for the same secret, and nothing that leads back without it.

Each is HMAC-SHA-256 of the id (RFC 2104) under the secret, shortened. A plain hash would not do: whoever has a list of
all ids would try them one by one.
"""

from __future__ import annotations

import hmac
import os

import pandas as pd

from tschurn.errors import ConfigError

KEY_VARIABLE = "TSCHURN_PSEUDONYM_KEY"
LEAST_CHARACTERS = 16
DIGITS = 16  # hexadecimal: 64 bits, so that two of a million users meet once in 40 million secrets
PREFIX = "u"  # 1234567890123456 and 12345678901234e5 are hexadecimal digits too; a spreadsheet would round them


def secret() -> bytes:
    """→ the key, from the environment; it is told to nobody and written nowhere.

    Raises ConfigError when it is not set or too short.
    """
    key = os.environ.get(KEY_VARIABLE, "").strip()
    if len(key) < LEAST_CHARACTERS:
        found = f"it has {len(key)}" if key else "it is not set"
        raise ConfigError(
            f"[list] `pseudonyms = true` needs a secret of {LEAST_CHARACTERS} characters or more in the environment "
            f"variable {KEY_VARIABLE}; {found}"
        )
    return key.encode("utf-8", "surrogateescape")


def pseudonyms(ids: pd.Series, key: bytes) -> pd.Series:
    """Ids (5 and "5" are the same), each once → their pseudonyms: `u` and 16 hexadecimal digits.

    Raises ConfigError when two ids have the same one.
    """
    # a hash knows no arrays: the one thing here that is done id by id
    hashed = [hmac.digest(key, text.encode("utf-8", "surrogatepass"), "sha256").hex() for text in ids.astype("str")]
    found = PREFIX + pd.Series(hashed, index=ids.index, dtype="str").str[:DIGITS]
    if found.duplicated().any():
        raise ConfigError(f"two users have the same pseudonym under this secret; set another one in {KEY_VARIABLE}")
    return found.rename(ids.name)
