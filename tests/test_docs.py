"""The guide and the README say what is so: commands, keys, examples, sources, links, in both languages."""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import tschurn
from tschurn import config, errors
from tschurn.cli import _parser

pytest.importorskip("sphinx", reason="the guide needs pip install '.[docs]'")
pytest.importorskip("pybtex", reason="the guide needs pip install '.[docs]'")

ROOT = Path(tschurn.__file__).parent.parent
DOCS = ROOT / "docs"
sys.path.append(str(DOCS))

import generated  # noqa: E402
from korean import Korean  # noqa: E402

LANGUAGES = ("en", "ko")
GUIDE = sorted(p for language in LANGUAGES for p in (DOCS / language).glob("*.md"))
NAMES = ("README.md", "CHANGELOG.md", "CONTRIBUTING.md", "NOTICE.md", "docs/README.md", "docs/search.md")
PAGES = [*(ROOT / name for name in NAMES), *GUIDE]
CHROMIUM = next((p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome")) if p), None)
FENCE = re.compile(r"^( *)(`{3,})([^\n]*)\n(.*?)^\1\2$", re.MULTILINE | re.DOTALL)
INDENTED = re.compile(r"(?:^    .*\n)+", re.MULTILINE)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def fences(path: Path) -> list[tuple[str, str]]:
    """(language, text) of the code blocks of a page, in order."""
    return [(m[3], m[4]) for m in FENCE.finditer(path.read_text(encoding="utf-8"))]


def commands(path: Path) -> Iterator[str]:
    """The lines of a page's code blocks that run tschurn or make, without prompt, comment and what calls them."""
    text = path.read_text(encoding="utf-8")
    blocks = [block for _, block in fences(path)] + [m[0] for m in INDENTED.finditer(FENCE.sub("", text))]
    for line in "".join(blocks).splitlines():
        found = re.search(r'(?:^\s*(?:\$ )?|bin/|bash_command=")((?:tschurn|make) .*)', line)
        if found and "→" not in line:
            # an experiment of their own, a time of a scheduler
            yield re.sub(r"\{\{ (\w+)[^}]*\}\}", r"2026-11-22", found[1].split("  #")[0].split(" # ")[0].strip(' ",'))


def understood(command: str) -> bool:
    """Whether the command line takes it; it is not run."""
    program, *arguments = shlex.split(command)
    if program == "make":
        targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
        return all(a in targets for a in arguments if "=" not in a)
    try:
        _parser().parse_args(arguments)
    except (SystemExit, errors.UserError):
        return False
    return True


def options(parser: argparse.ArgumentParser) -> set[str]:
    found = set(parser._option_string_actions)
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            found |= {o for inner in action.choices.values() for o in options(inner)} | set(action.choices)
    return found


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_commands_are_understood(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    wrong = [command for command in commands(path) if not understood(command)]
    assert not wrong, capsys.readouterr().err


def test_there_are_commands_to_understand() -> None:
    assert len(list(commands(ROOT / "README.md"))) >= 8
    assert not understood("tschurn runn experiments/x.toml")
    assert not understood("tschurn run experiments/x.toml --fast")
    assert not understood("make coffee")


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_commands_and_options_in_the_text_exist(path: Path) -> None:
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    known = options(_parser())
    for code in re.findall(r"(?<!`)`([^`\n]+)`(?!`)", text):
        if found := re.match(r"tschurn ([a-z-]+)\b", code):
            assert found[1] in known, code
        if code.startswith(("tschurn ", "--")):
            assert set(re.findall(r"(?<!\S)--[a-z-]+", code)) <= known, code


@pytest.mark.parametrize("path", PAGES, ids=name_of)
def test_examples_are_valid_experiments(path: Path) -> None:
    for language, block in fences(path):
        if language == "toml":
            raw = tomllib.loads(block)
            raw.setdefault("experiment", {}).setdefault("name", "x")
            log = raw.setdefault("log", {})
            if "dataset" not in log:
                log.setdefault("path", "x.csv")
            config.parse(raw, name_of(path))


@pytest.mark.parametrize("path", [*PAGES, ROOT / "reports" / "README.md", *sorted((DOCS / "adr").glob("*.md"))],
                         ids=name_of)  # fmt: skip
def test_relative_links_lead_somewhere(path: Path) -> None:
    text = FENCE.sub("", path.read_text(encoding="utf-8"))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if "://" not in target and not target.startswith("#"):
            assert (path.parent / target.partition("#")[0]).exists(), target


@pytest.mark.parametrize("page", sorted(p.name for p in (DOCS / "en").glob("*.md")))
def test_twins_have_the_same_parts(page: str) -> None:
    en, ko = (DOCS / language / page for language in LANGUAGES)

    def parts(path: Path) -> tuple:
        text = path.read_text(encoding="utf-8")
        bare = FENCE.sub("", text)
        examples = [tomllib.loads(b) for kind, b in fences(path) if kind == "toml" and "language" not in b]
        code = [sorted(re.sub(r"\s*#.*", "", b).split()) for kind, b in fences(path) if kind in ("console", "bibtex")]
        pictures = [name.replace("_ko.", "_en.") for name in re.findall(r"\]\((\S+\.png)\)", bare)]
        levels = [len(h) for h in re.findall(r"^(#+) ", bare, re.MULTILINE)]
        rows = len(re.findall(r"^\|", bare, re.MULTILINE))
        # texts for people differ
        keys = [sorted(example) for example in examples]
        return levels, rows, pictures, code, keys, re.findall(r"<!-- generated: \w+ -->", text)

    assert parts(en) == parts(ko)


def test_both_languages_have_the_same_pages() -> None:
    assert [p.name for p in GUIDE if p.parent.name == "en"] == [p.name for p in GUIDE if p.parent.name == "ko"]


def test_every_key_has_a_meaning_in_both_languages() -> None:
    said = generated.meanings()
    assert set(said["keys"]) == {key for key, _ in generated.every_key()}
    assert set(said["sections"]) == {names[0] for names, _ in generated.sections()}
    for key, (english, korean) in said["keys"].items():
        assert english and re.search("[가-힣]", korean), key


def test_every_field_of_every_section_is_a_key() -> None:
    """Counted from the models themselves, section by section."""
    here = {"Section", "Experiment"}
    models = [m for m in vars(config).values() if isinstance(m, type) and issubclass(m, config.Section)]
    fields = sum(
        generated._section(f.annotation) is None
        for m in models if m.__name__ not in here for f in m.model_fields.values()
    )  # fmt: skip
    assert len(list(generated.every_key())) == fields + 1  # and [actions], a table of the user's own keys


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_of_settings_has_every_key_and_default(language: str) -> None:
    page = generated.fill((DOCS / language / "settings.md").read_text(encoding="utf-8"), language)
    for key, field in generated.every_key():
        section, _, name = key.rpartition(".")
        if section:
            part = page.split(f"`[{section}]`", 1)[1].split("\n## ", 1)[0]
            row = next(line for line in part.splitlines() if line.startswith(f"| `{name}` |"))
            if isinstance(field.default, (int, float, str)):
                assert f"{str(field.default).lower()}" in row.lower()
    assert "`[actions]`" in page


def test_what_a_key_accepts_is_told() -> None:
    words = generated._WORDS["en"]
    told = {key: generated.accepts(field, words) for key, field in generated.every_key()}
    assert told["windows.observe_days"] == "whole number, from 1, to 366"
    assert told["segments.share"] == "number, above 0, below 1"
    assert told["rfm.weights"] == "list of number from 0 to 1 (3)"
    assert told["log.naive_time"] == '`"local"`, `"utc"`'
    assert told["actions"] == "table of texts"


def test_every_source_that_the_package_names_is_in_the_references() -> None:
    assert generated.unknown_sources() == []


def test_a_source_that_is_in_no_entry_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    texts = [
        ("a", "as in Nobody (1999), Journal"), ("b", "of Somebody, Else & Other 2004; Owen 2007"), ("c", "since 1970"),
        ("d", "such as 2024-03-31"), ("e", "(Unheard et al. 2011)"), ("f", "Owen 2008"), ("g", "years 2020 to 2030"),
    ]  # fmt: skip
    monkeypatch.setattr(generated, "texts", lambda: texts)
    assert [found[0] for found in generated.unknown_sources()] == ["a", "b", "e", "f"]


def test_every_reference_is_used() -> None:
    assert [key for key, entry in generated.sources().items() if not generated.cited_in(entry)] == []


def test_every_error_of_ours_has_its_exit_code_in_the_guide() -> None:
    def tree(cls: type) -> Iterator[type]:
        yield cls
        for inner in cls.__subclasses__():
            yield from tree(inner)

    codes = {cls.exit_code for cls in tree(errors.TschurnError) if cls.__module__ == errors.__name__}
    for language in LANGUAGES:
        page = (DOCS / language / "every_monday.md").read_text(encoding="utf-8")
        assert codes <= {int(code) for code in re.findall(r"^\| (\d+) \|", page, re.MULTILINE)}


def test_versions_agree() -> None:
    assert f"version: {tschurn.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"## [{tschurn.__version__}]" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    for language in LANGUAGES:
        assert f"version = {{{tschurn.__version__}}}" in (DOCS / language / "methods.md").read_text(encoding="utf-8")


def test_pictures_are_small() -> None:
    pictures = list((DOCS / "images").iterdir())
    assert pictures
    assert {p.name: p.stat().st_size for p in pictures if p.stat().st_size > 300_000} == {}


WORDS = st.text(alphabet="가나다라마바사이탈률관리우선", min_size=2, max_size=8)


@given(WORDS, st.data())
def test_any_part_of_a_korean_word_finds_it(word: str, data: st.DataObject) -> None:
    begin = data.draw(st.integers(0, len(word) - 2))
    part = word[begin : data.draw(st.integers(begin + 2, len(word)))]
    search = Korean({})
    assert set(search.split(part)) <= set(search.split(f"앞 {word} p_churn 뒤"))


def test_what_is_not_korean_stays_whole() -> None:
    assert Korean({}).split("p_churn은 확률, AP 0.5") == ["p_churn", "은", "확률", "AP", "0", "5"]


def test_docstrings_are_shown_as_they_are() -> None:
    lines = ["Rows → *table*.", "", "a|b: `x_` and y_.", "", "    code", "", "last"]
    generated.plain(lines)
    assert lines == [r"Rows → \*table\*.", "", r"a\|b: ``x_`` and y\_.", "", "::", "", "       code", "", "last", ""]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The guide in both languages, as `make docs` builds it: warnings are errors."""
    out = tmp_path_factory.mktemp("guide")
    for language in LANGUAGES:
        made = subprocess.run(
            [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-t", language, "-c", DOCS, DOCS / language,
             out / language], capture_output=True, text=True,
        )  # fmt: skip
        assert made.returncode == 0, made.stderr
    return out


class Loaded(HTMLParser):
    """What a page loads when it is opened, and where it leads."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.loads, self.leads = [], []
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        given = dict(attributes)
        if tag in ("script", "img", "iframe", "source") and given.get("src"):
            self.loads.append(given["src"])
        if tag == "link" and {"stylesheet", "icon", "preload", "preconnect"} & set((given.get("rel") or "").split()):
            self.loads.append(given["href"])
        if tag == "a" and given.get("href"):
            self.leads.append(given["href"])


@pytest.mark.slow
def test_the_guide_is_built_without_warnings_and_needs_no_network(built: Path) -> None:
    pages = [p for language in LANGUAGES for p in (built / language).rglob("*.html")]
    assert len(pages) >= 2 * len(GUIDE) / 2
    for page in pages:
        found = Loaded(page)
        assert not [address for address in found.loads if "//" in address], page
        for address in found.leads:
            if "://" not in address and not address.startswith(("#", "mailto:")):
                assert (page.parent / address.partition("#")[0].partition("?")[0]).resolve().exists(), (page, address)
    styles = "".join(p.read_text(encoding="utf-8") for p in built.rglob("*.css"))
    assert not re.findall(r"@import[^;]*//|url\(['\"]?(?:https?:)?//", styles)


@pytest.mark.slow
@pytest.mark.browser
@pytest.mark.parametrize(("language", "query", "page"), [
    ("ko", "관리우선대상", "words.html"), ("ko", "이탈", "words.html"), ("ko", "p_churn", "words.html"),
    ("ko", "memory_mib", "settings.html"), ("en", "calibration", "words.html"), ("en", "memory_mib", "settings.html"),
])  # fmt: skip
def test_the_guide_is_searched_from_its_files(built: Path, language: str, query: str, page: str) -> None:
    if CHROMIUM is None:
        pytest.skip("no Chromium found (Debian: apt-get install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--disable-gpu"])
        tab = browser.new_context(offline=True).new_page()
        tab.goto(f"{(built / language / 'search.html').as_uri()}?q={query}")
        # whatever else is found: this page is among the results
        tab.locator(f'#search-results ul.search a[href*="{page}"]').first.wait_for(state="attached", timeout=60_000)
        browser.close()
