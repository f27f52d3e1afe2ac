"""The package, references.bib and what is installed → the parts of the guide that no hand writes, as Markdown.

A page holds a line `<!-- generated: NAME -->`; `fill` puts the part of that name in its place. So the guide cannot
have keys, defaults, tables, sources or licences that the package has no more.
"""

from __future__ import annotations

import ast
import configparser
import importlib
import inspect
import re
import tomllib
import types
import typing
from collections.abc import Iterator
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path

from pybtex.database import Entry, parse_file
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from tschurn import config, contracts

HERE = Path(__file__).parent
ROOT = HERE.parent
_NEAR = 140  # characters from an author's name to the year
# A year that no date, epoch or span of years is part of, and what stands before it where it is a source's.
_YEAR = re.compile(r"(?<![-\d:])\b(1[89]\d\d|20[0-2]\d)\b(?![-\d:]| to \d)")
_NAMED = re.compile(r"(?:[A-ZÀ-Þ][\w'’-]*|\bal\.|[\"”])[,;]? ?\(?$")
_PLACE = re.compile(r"^<!-- generated: (\w+) -->$", re.MULTILINE)
# What users call, and the door of each stage; a module that is not there yet is left out.
CALLED = (
    "",
    "predicting",
    "scoring",
    "config",
    "pipeline",
    "follow_up",
    "comparing",
    "reporting",
    "tracking",
    "errors",
)
STAGES = ("events", "exploration", "features", "models", "explain", "segments", "drift", "report", "simulator")
_WORDS = {
    "en": {
        "key": "key", "accepts": "accepts", "default": "default", "meaning": "meaning", "required": "required",
        "none": "none", "int": "whole number", "float": "number", "str": "text", "bool": "`true` or `false`",
        "date": "day", "list": "list of {}", "pairs": "table of texts", "from": "from {}", "above": "above {}",
        "to": "to {}", "below": "below {}", "package": "package", "version": "version", "licence": "licence",
        "extra": "needed for", "always": "every install", "unknown": "not stated", "used": "used in",
        "column": "column", "type": "type", "grain": "One row per", "no_grain": "No key.", "file": "file",
    },
    "ko": {
        "key": "키", "accepts": "받는 값", "default": "기본값", "meaning": "뜻", "required": "필수",
        "none": "없음", "int": "정수", "float": "수", "str": "글자", "bool": "`true` 또는 `false`",
        "date": "날짜", "list": "{} 목록", "pairs": "글자 표", "from": "{} 이상", "above": "{} 초과",
        "to": "{} 이하", "below": "{} 미만", "package": "패키지", "version": "버전", "licence": "라이선스",
        "extra": "필요한 곳", "always": "모든 설치", "unknown": "밝히지 않음", "used": "쓰는 곳",
        "column": "열", "type": "형", "grain": "한 행의 단위:", "no_grain": "키 없음.", "file": "파일",
    },
}  # fmt: skip


def fill(page: str, language: str) -> str:
    """A page's Markdown → the same with its generated parts. Raises KeyError for a part that there is not."""
    return _PLACE.sub(lambda place: PARTS[place[1]](language), page)


# The settings


def every_key() -> Iterator[tuple[str, FieldInfo]]:
    """Every key of an experiment file by its name, such as "log.columns.user", in order; those of a model that is used
    in several places by the name of the first."""
    for names, model in sections():
        for key, field in model.model_fields.items():
            if _section(field.annotation) is None:
                yield f"{names[0]}.{key}", field
    yield "actions", config.Experiment.model_fields["actions"]  # a table whose keys are the user's own


def sections() -> list[tuple[list[str], type[BaseModel]]]:
    """Every table of an experiment file in order: the names under which it may stand, and its model."""
    found: dict[type[BaseModel], list[str]] = {}

    def collect(model: type[BaseModel], prefix: str) -> None:
        for name, field in model.model_fields.items():
            if (inner := _section(field.annotation)) is not None:
                found.setdefault(inner, []).append(prefix + name)
                collect(inner, f"{prefix}{name}.")

    collect(config.Experiment, "")
    return [(names, model) for model, names in found.items()]


def meanings() -> dict[str, dict]:
    """settings.toml: `keys`, name → English and Korean; `sections`, name → Korean (in English: the docstring)."""
    return tomllib.loads((HERE / "settings.toml").read_text(encoding="utf-8"))


def settings(language: str) -> str:
    """→ a heading and a table of keys for each table of an experiment file."""
    said, word = meanings(), _WORDS[language]
    parts = []
    for names, model in sections():
        rows = [
            [f"`{key}`", accepts(field, word), _default(field, word), _told(said, f"{names[0]}.{key}", language)]
            for key, field in model.model_fields.items()
            if _section(field.annotation) is None
        ]
        lead = _lead(model) if language == "en" else said["sections"][names[0]]
        table = _table([word[k] for k in ("key", "accepts", "default", "meaning")], rows) if rows else ""
        parts.append(f"## {', '.join(f'`[{name}]`' for name in names)}\n\n{lead}\n\n{table}")
        if names == ["list"]:  # where [actions] is about the list's column
            parts.append(f"## `[actions]`\n\n{_told(said, 'actions', language)}")
    return "\n\n".join(parts)


def accepts(field: FieldInfo, word: dict[str, str]) -> str:
    """A field → what it takes, in words: its type, its choices, its limits."""
    kind, limits = _unwrapped(field.annotation, list(field.metadata))
    if typing.get_origin(kind) is typing.Literal:
        return ", ".join(f'`"{choice}"`' for choice in typing.get_args(kind))
    if typing.get_origin(kind) is dict:
        return word["pairs"]
    if typing.get_origin(kind) is tuple:
        inner, more = _unwrapped(typing.get_args(kind)[0], [])
        many = [a for a in typing.get_args(kind) if a is not Ellipsis]
        text = word["list"].format(" ".join([word[inner.__name__], *_limits(more, word)]))
        return f"{text} ({len(many)})" if Ellipsis not in typing.get_args(kind) else text
    return ", ".join([word[kind.__name__], *_limits(limits, word)])


def _section(annotation: object) -> type[BaseModel] | None:
    for option in (annotation, *typing.get_args(annotation)):
        if isinstance(option, type) and issubclass(option, BaseModel):
            return option
    return None


def _unwrapped(annotation: object, limits: list) -> tuple[typing.Any, list]:
    """Without `| None` and Annotated; the limits met on the way."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        annotation = next(a for a in typing.get_args(annotation) if a is not type(None))
        return _unwrapped(annotation, limits)
    if typing.get_origin(annotation) is typing.Annotated:
        annotation, *more = typing.get_args(annotation)
        limits = limits + [m for one in more for m in (one.metadata if isinstance(one, FieldInfo) else [one])]
        return _unwrapped(annotation, limits)
    return annotation, limits


def _limits(limits: list, word: dict[str, str]) -> list[str]:
    names = {"ge": "from", "gt": "above", "le": "to", "lt": "below"}
    return [word[name].format(f"{getattr(m, k):,}" if isinstance(getattr(m, k), int) else getattr(m, k))
            for m in limits for k, name in names.items() if hasattr(m, k)]  # fmt: skip


def _default(field: FieldInfo, word: dict[str, str]) -> str:
    if field.is_required():
        return word["required"]
    value = field.default
    if value is None:
        return word["none"]
    if isinstance(value, bool):
        return f"`{str(value).lower()}`"
    if isinstance(value, tuple):
        return f"`{list(value)}`"
    return f'`"{value}"`' if isinstance(value, str) else f"`{value}`"


def _lead(model: type[BaseModel]) -> str:
    """The first paragraph of a section's docstring, as a sentence, without the name that the heading has already."""
    text = " ".join(inspect.getdoc(model).split("\n\n")[0].split())
    text = re.sub(r"^(\[[\w.]+\](, )?)+: (\w+: )?", "", text)
    return text[0].upper() + text[1:]


def _told(said: dict[str, dict], key: str, language: str) -> str:
    try:
        return said["keys"][key][language == "ko"]
    except KeyError:
        raise KeyError(f"docs/settings.toml has no meaning of `{key}` in English and Korean: add it") from None


# The sources of methods


@cache
def sources() -> dict[str, Entry]:
    """references.bib: key → entry, by first author and year."""
    found = parse_file(str(HERE / "references.bib")).entries
    return dict(sorted(found.items(), key=lambda item: (_plain_name(surname(item[1])), item[1].fields["year"])))


def surname(entry: Entry) -> str:
    """The last name of the first author, with what stands before it (van der Aalst)."""
    person = entry.persons["author"][0]
    return " ".join([*person.prelast_names, *person.last_names]).strip("{}")


@cache
def texts(package: Path = ROOT / "tschurn") -> list[tuple[str, str]]:
    """(module, text on one line) of every docstring and longer string of the package: there its sources are named."""
    found = []
    for path in sorted(package.rglob("*.py")):
        module = ".".join(path.relative_to(package.parent).with_suffix("").parts).removesuffix(".__init__")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str) and len(node.value) > 40:
                found.append((module, " ".join(node.value.split())))
    return found


def cited_in(entry: Entry) -> list[str]:
    """The modules that name the first author and, a few words on, the year."""
    named = re.compile(rf"{re.escape(surname(entry))}\b.{{0,{_NEAR}}}?\b{entry.fields['year']}\b", re.IGNORECASE)
    return list(dict.fromkeys(module for module, text in texts() if named.search(text)))


def unknown_sources() -> list[str]:
    """Years in the package's texts that look like a source's and are in no entry of references.bib, with words."""
    known = [(surname(entry).lower(), entry.fields["year"]) for entry in sources().values()]
    found = []
    for module, text in texts():
        for year in _YEAR.finditer(text):
            before = text[max(0, year.start() - _NEAR) : year.start()]
            if _NAMED.search(before) and not any(y == year[0] and name in before.lower() for name, y in known):
                found.append(f"{module}: {before[-60:]}{year[0]}")
    return found


def references(language: str) -> str:
    """→ a list of all sources, each with the modules that use it."""
    lines = []
    for entry in sources().values():
        used = ", ".join(f"`{module}`" for module in cited_in(entry))
        lines.append(f"- {_reference(entry)} *{_WORDS[language]['used']}:* {used}")
    return "\n".join(lines)


def _reference(entry: Entry) -> str:
    fields = entry.fields
    people = [_person(person) for person in entry.persons["author"]]
    who = people[0] if len(people) == 1 else ", ".join(people[:-1]) + " & " + people[-1]
    where = fields.get("journal") or fields.get("booktitle") or fields.get("publisher") or fields.get("howpublished")
    volume = f" {fields['volume']}" if "volume" in fields else ""
    pages = f", {fields['pages'].replace('--', '–')}" if "pages" in fields else ""
    return f"{who} ({fields['year']}). *{fields['title'].strip('{}')}*. {where}{volume}{pages}."


def _person(person: typing.Any) -> str:
    last = " ".join([*person.prelast_names, *person.last_names]).strip("{}")
    initials = " ".join(name[0] + "." for name in [*person.first_names, *person.middle_names])
    return f"{last}, {initials}" if initials else last


def _plain_name(name: str) -> str:
    return name.removeprefix("van der ").lower()


# Licences, tables, modules


def licences(language: str) -> str:
    """→ a table of the packages that tschurn asks for, as they are installed here."""
    word = _WORDS[language]
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", encoding="utf-8")
    wanted = {word["always"]: parser["options"]["install_requires"]} | {
        f"`[{extra}]`": lines for extra, lines in parser["options.extras_require"].items()
    }
    rows = []
    for extra, lines in wanted.items():
        for line in (line for line in lines.splitlines() if line and not line.startswith("#")):
            name = re.match(r"[\w.-]+", line)[0]
            try:
                about = metadata.metadata(name)
            except metadata.PackageNotFoundError:
                continue  # an extra that is not installed: nothing can be said of it
            rows.append([name, about["Version"], _licence(about) or word["unknown"], extra])
    return _table([word[k] for k in ("package", "version", "licence", "extra")], rows)


def _licence(about: typing.Any) -> str:
    classified = [c.split(" :: ")[-1] for c in about.get_all("Classifier", []) if c.startswith("License :: ")]
    stated = (about["License-Expression"] or "", *classified, (about["License"] or "").splitlines()[:1])
    return next((s if isinstance(s, str) else "".join(s) for s in stated if s and s != "OSI Approved"), "")


def tables(language: str) -> str:
    """→ every table that crosses a stage: what it is, its key, its columns."""
    word = _WORDS[language]
    found = {id(t): t for _, t in inspect.getmembers(contracts, lambda thing: isinstance(thing, contracts.Table))}
    parts = []
    for table in sorted(found.values(), key=lambda t: t.name):
        grain = f"{word['grain']} {', '.join(f'`{c}`' for c in table.grain)}." if table.grain else word["no_grain"]
        columns = ", ".join(f"`{name}` {kind}" for name, kind in table.columns.items())
        parts.append(f"`{table.name}`\n: {_escaped(table.about)} {grain}\n\n  {columns}")
    return "\n\n".join(parts)


def modules(language: str) -> str:
    """→ the public functions and classes of what users call, by module."""
    return "\n\n".join(_module(f"tschurn.{name}".rstrip(".")) for name in CALLED if find_spec(f"tschurn.{name or '_'}"
                       if name else "tschurn"))  # fmt: skip


def stages(language: str) -> str:
    """→ the same of the doors of the stages."""
    return "\n\n".join(_module(f"tschurn.{name}") for name in STAGES if find_spec(f"tschurn.{name}"))


def _module(name: str) -> str:
    module = importlib.import_module(name)
    lines = [f".. automodule:: {name}", ""]
    for member, thing in vars(module).items():
        if member.startswith("_") or getattr(thing, "__module__", None) != name:
            continue
        if inspect.isfunction(thing):
            lines += [f".. autofunction:: {name}.{member}", ""]
        elif inspect.isclass(thing):
            inside = [] if issubclass(thing, (BaseModel, Exception)) else ["   :members:"]
            # a settings table takes no arguments that are not on the page of settings
            lines += [f".. autoclass:: {name}.{member}{'()' if issubclass(thing, BaseModel) else ''}", *inside, ""]
    return f"## `{name}`\n\n```{{eval-rst}}\n" + "\n".join(lines) + "\n```"


def plain(lines: list[str]) -> None:
    """A docstring, in place: the house's plain text → reStructuredText that shows it as it is."""
    paragraphs = "\n".join(lines).strip("\n").split("\n\n")
    shown = []
    for paragraph in paragraphs:
        if re.search(r"^\s+\S", paragraph, re.MULTILINE):
            shown.append("::\n\n" + "\n".join(f"   {line}" for line in paragraph.split("\n")))
        else:
            shown.append(_escaped(paragraph))
    lines[:] = [*"\n\n".join(shown).split("\n"), ""]


def _escaped(text: str) -> str:
    """Nothing but `code` is markup; also for Markdown."""
    pieces = re.split(r"`([^`\n]+)`", text)
    return "".join(f"``{piece}``" if i % 2 else re.sub(r"([\\*_|`<>\[\]])", r"\\\1", piece)
                   for i, piece in enumerate(pieces))  # fmt: skip


def _table(head: list[str], rows: list[list[str]]) -> str:
    cells = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in cells)


PARTS = {"settings": settings, "references": references, "licences": licences, "tables": tables, "modules": modules,
         "stages": stages}  # fmt: skip
