"""How the page is read in a real browser: its languages, light and dark and paper, figures' data, what folds."""

from __future__ import annotations

import csv
import io
import runpy
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tschurn.report import build
from tschurn.report.theme import BLUES, DARK, INK
from tschurn.report.words import Texts

pytestmark = pytest.mark.browser
DRAWN, PATIENCE_MS = 'html[data-drawn="all"]', 120_000
made = runpy.run_path(str(Path(__file__).parent.parent / "report" / "fixture_tables.py"))
TITLE = "#figure-ap-churn .xtitle"
FILL = f"getComputedStyle(document.querySelector('{TITLE}')).fill"


@pytest.fixture(scope="module")
def page_of(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("reading")
    build(made["tables"](), [], made["experiment"]("en", simulated=True), made["manifest"](), folder)
    return folder / "index.html"


def rgb(colour: str) -> str:
    return "rgb({}, {}, {})".format(*(int(colour[i : i + 2], 16) for i in (1, 3, 5)))


def test_the_language_is_switched_in_the_page(visit, page_of):
    """Words, title and figures change, the place of reading stays, and it is the page that a Korean run writes."""
    found = visit(page_of).until(DRAWN)
    page, texts = found.page, {language: Texts.load(language) for language in ("en", "ko")}
    page.evaluate("document.getElementById('models').scrollIntoView()")
    for language in ("ko", "en"):
        page.click(f'button[data-language="{language}"]')
        page.locator(f'html[lang="{language}"]').wait_for(state="attached", timeout=PATIENCE_MS)
        found.until(DRAWN)
        expect(page.locator("#models > h2")).to_have_text(texts[language].words["models.title"])
        expect(page.locator(TITLE)).to_have_text(texts[language].words["figures.ap_test"], timeout=PATIENCE_MS)
        assert page.title().startswith(texts[language].words["page.title"].partition("{")[0].strip())
        assert page.evaluate("Math.abs(document.getElementById('models').getBoundingClientRect().top)") < 400
        pressed = page.locator("button[data-language][aria-pressed=true]")
        assert pressed.all_text_contents() == [{"en": "English", "ko": "한국어"}[language]]
        page.reload()
        found.until(DRAWN)
        assert page.evaluate("document.documentElement.lang") == language  # what a reader chose holds
        page.evaluate("document.getElementById('models').scrollIntoView()")
    assert found.said == found.asked == found.refused == []


def test_dark_is_dark_and_paper_is_white(visit, page_of):
    page = visit(page_of, colour_scheme="dark").until(DRAWN).page
    assert page.evaluate(FILL) == rgb(DARK[INK.lower()])
    scale = page.evaluate("document.getElementById('figure-follows').data[0].colorscale")
    assert [colour for _, colour in scale] == [DARK[colour.lower()] for _, colour in BLUES]
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    page.wait_for_timeout(1_500)
    assert page.evaluate(FILL) == rgb(INK)
    assert not page.locator("main details:not(.about):not([open])").count()
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    page.wait_for_timeout(1_500)
    assert page.evaluate(FILL) == rgb(DARK[INK.lower()])
    page.click("button[data-theme-switch]")
    page.wait_for_timeout(1_500)
    assert page.evaluate(FILL) == rgb(INK)
    assert page.evaluate("document.documentElement.dataset.theme") == "light"


def test_a_figure_has_its_definition_and_its_data(visit, page_of):
    """The table in the page, and the file, hold what is drawn; names that look like formulas stay text."""
    page = visit(page_of).until(DRAWN).page
    figure = page.locator("figure:has(#figure-ap-churn)")
    figure.locator("details.about > summary").click()
    assert len(figure.locator("details.about > p").first.text_content()) > 40
    rows = figure.locator("details.about tbody tr")
    expect(rows.first).to_be_visible(timeout=PATIENCE_MS)
    drawn = page.evaluate(
        "document.getElementById('figure-ap-churn').data.flatMap((t) => t.x.map((x, i) => [x, t.text[i]]))"
    )
    assert rows.count() == len(drawn)
    with page.expect_download() as saved:
        figure.locator("details.about button").click()
    text = Path(saved.value.path()).read_bytes().decode("utf-8-sig")
    assert saved.value.suggested_filename == "ap-churn.csv"
    head, *table = csv.reader(io.StringIO(text))
    assert [float(row[1]) for row in table] == pytest.approx([x for x, _ in drawn])
    assert all(name in row[3] for row, (_, told) in zip(table, drawn, strict=True) for name in [told.partition(":")[0]])
    assert not [cell for row in [head, *table] for cell in row if cell[:1] in "=+@" and cell]


def test_figures_are_chosen(visit, page_of):
    page = visit(page_of).until(DRAWN).page
    boxes = page.locator(".pick input")
    some = [boxes.nth(i).get_attribute("value") for i in range(boxes.count())]
    hidden = [name for name in some if page.locator(f'[data-pick="{name}"]').is_hidden()]
    assert hidden and len(hidden) < len(some)
    page.locator(f'.pick input[value="{hidden[0]}"]').check()
    expect(page.locator(f"#figure-{hidden[0]} .main-svg").first).to_be_visible(timeout=PATIENCE_MS)
    shown = next(name for name in some if name not in hidden)
    page.locator(f'.pick input[value="{shown}"]').uncheck()
    expect(page.locator(f"#figure-{shown}")).to_be_hidden()


def test_parts_fold_and_stand_open_without_a_script(visit, page_of, browser):
    page = visit(page_of).until(DRAWN).page
    folded = page.locator("details.dig > summary h3[data-fold]")
    assert folded.count() == page.locator("h3[data-fold]").count() > 8
    assert page.locator("details.dig[open]").count() == 0
    search = page.locator("details.dig:has(#search)")
    assert search.locator(".plot .main-svg").count() == 0
    search.locator("summary").first.press("Enter")
    expect(search.locator(".plot .main-svg").first).to_be_visible(timeout=PATIENCE_MS)
    context = browser.new_context(java_script_enabled=False, offline=True)
    plain = context.new_page()
    plain.goto(page_of.resolve().as_uri())
    assert plain.locator("details.dig").count() == 0
    assert plain.locator("table.people").is_visible()
    assert plain.locator("noscript").count() == 1
    context.close()
