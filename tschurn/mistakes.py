"""what pydantic found wrong → one sentence that names the key, and repeats nothing that may be a secret."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any
from urllib.parse import unquote

from pydantic import BaseModel, ValidationError

from tschurn.errors import did_you_mean

_MOST_SHOWN = 60  # characters of a value
CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_SECRET = r"pass(?:word|wd|phrase)|pwd|secret|token|credential|(?:api|access|private)[_-]?key"
_SECRET_NAME = re.compile(_SECRET, re.IGNORECASE)
_SECRET_TEXT = re.compile(rf"://[^@]*@|(?:{_SECRET})\w*[\"']?\s*[=:]", re.IGNORECASE)
_PASSWORD = re.compile(r"://[^@]*:[^@]*@|(?:password|passwd|pwd|secret)\s*=", re.IGNORECASE)
NO_PASSWORDS = (
    "holds a password, which would be written into the run folder; take it out and give it in the environment "
    "(PGPASSWORD), in a pgpass file, or by ?service=NAME"
)


def sentence(error: ValidationError, model: type[BaseModel]) -> str:
    """What is wrong with a document of `model` → the first mistake as one sentence, and how many more there are.

    Values are not repeated whole, and not at all where they, or their key, look like a secret.
    """
    first, *rest = error.errors()
    parts = [str(part) for part in first["loc"]]
    key, shown = _named(parts), _shown(first["input"], parts)
    if first["type"] == "extra_forbidden":
        text = f"unknown key `{key}`{did_you_mean(parts[-1], _siblings(parts, model))}"
    elif first["type"] == "missing":
        text = f"key `{key}` is missing"
    elif first["type"] == "value_error":
        where = "" if not parts else f"[{key}]: " if shown == "dict" else f"key `{key}` = {shown}: "
        text = f"{where}{first['ctx']['error']}"
    else:
        message = first["msg"][0].lower() + first["msg"][1:]
        text = f"key `{key}`: {message}, found {shown}"
    more = f" (and {len(rest)} more)" if rest else ""
    return text + more


def holds_password(text: str) -> bool:
    """Whether a text has a password in it: of an address, or as a parameter, percent-encoded ones too."""
    return bool(_PASSWORD.search(text) or _PASSWORD.search(unquote(text)))


def password_in(document: Any) -> str | None:
    """→ the key of a document's first text with a password, None where there is none."""
    return next((_named(key) for key, text in _texts(document) if holds_password(text)), None)


def quiet(told: str) -> str:
    """What a library says of a mistake → the same in one line, unless it may repeat a secret."""
    return "(not shown, since it may hold a secret)" if _may_hold_secret(told) else CONTROL.sub(" ", told)[:200]


def _may_hold_secret(text: str) -> bool:
    return bool(_SECRET_TEXT.search(text) or _SECRET_TEXT.search(unquote(text)))


def _texts(value: Any, key: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    if isinstance(value, str):
        yield key, value
    for name, inside in value.items() if isinstance(value, dict) else ():
        yield from _texts(inside, (*key, str(name)))
    for inside in value if isinstance(value, list | tuple) else ():
        yield from _texts(inside, key)


def _named(parts: Sequence[str]) -> str:
    """A key as it is named in a message: in one line, not too long, without what may be a secret in it."""
    key = " ".join(CONTROL.sub(" ", ".".join(parts)).split())
    return "..." if _may_hold_secret(key) else key if len(key) <= 2 * _MOST_SHOWN else key[: 2 * _MOST_SHOWN] + "..."


def _shown(found: Any, parts: Sequence[str]) -> str:
    """A value as it is shown in a message, unless it may hold a secret."""
    if not isinstance(found, (str, int, float, bool, date)):
        return type(found).__name__
    if any(_SECRET_NAME.search(part) for part in parts) or (isinstance(found, str) and _may_hold_secret(found)):
        return "a text that is not shown, since it may hold a secret"
    try:
        shown = repr(found)
    except ValueError:  # an integer of thousands of digits
        return "a number that is too long"
    return shown if len(shown) <= _MOST_SHOWN else shown[: _MOST_SHOWN - 3] + "..."


def _siblings(parts: list[str], model: type[BaseModel]) -> list[str]:
    """The keys that the section of an unknown key does have."""
    for part in parts[:-1]:
        annotation = model.model_fields[part].annotation
        options = [annotation, *getattr(annotation, "__args__", ())]
        model = next(o for o in options if isinstance(o, type) and issubclass(o, BaseModel))
    return list(model.model_fields)
