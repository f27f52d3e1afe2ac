"""index.html from file:// in Chromium, without network: all figures drawn, no error, no request, no foreign element."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.browser
READY, DRAWN = 'html[data-ready="yes"]', 'html[data-drawn="all"]'
USABLE = f"{READY}, {DRAWN}"
SCREENSHOTS = "TSCHURN_SCREENSHOTS"  # a folder that keeps what the tests of pictures draw
# Places of figures that are in sight, or scrolled into it.
SHOWN = "main .plot[id^='figure-']:not(details:not([open]) .plot, [hidden] .plot)"
# What a browser would make of names such as <img onerror=...>, were they not escaped; data of figures is not run.
FOREIGN = "main :is(img, iframe, object, embed, script:not([type='application/json']), [onerror], [onload])"
# What would be foreign in the page, and what its policy says of each: (directive, what was blocked).
INTRUDERS = {
    '<script>document.title = "taken"</script>': ("script-src-elem", "inline"),
    '<p onclick="0">': ("script-src-attr", "inline"),
    '<img src="https://example.invalid/x.png">': ("img-src", "https://example.invalid/x.png"),
    '<script src="https://example.invalid/x.js"></script>': ("script-src-elem", "https://example.invalid/x.js"),
    '<iframe src="https://example.invalid/"></iframe>': ("frame-src", "https://example.invalid"),
    '<link rel="stylesheet" href="https://example.invalid/x.css">': ("style-src-elem", "https://example.invalid/x.css"),
}


def test_every_figure_is_drawn(drawn):
    """What is seen at once is drawn without being asked for, the others as soon as they can be seen."""
    assert drawn.page.locator(SHOWN).count() > 20
    assert drawn.page.locator(f"{SHOWN}:not(:has(.main-svg))").count() == 0
    with drawn.unfolded():
        assert drawn.undrawn().count() == 0


def test_the_page_says_that_it_can_be_used(drawn):
    assert drawn.page.locator(READY).count() == 1


def test_the_console_is_silent_and_nothing_is_asked_for(drawn):
    assert drawn.said == []
    assert drawn.asked == []
    assert drawn.refused == []


def test_names_from_the_log_made_no_elements(drawn):
    page = drawn.page
    assert page.locator(FOREIGN).count() == 0
    assert page.locator("main :is(b, tspan)", has_text=re.compile("^bold$")).count() == 0
    text = page.locator("main").text_content()
    for name in ("<script>alert(1)</script>", '"><img src=x onerror=alert(2)>', "%{x} <b>bold</b> {{ 7 * 7 }}"):
        assert name in text
    assert not any(said.startswith("dialog") for said in drawn.said)


def test_an_intruder_is_refused(report, visit, tmp_path):
    """The silence above means something: the same page with foreign scripts, a handler and requests is not silent."""
    page = tmp_path / "index.html"
    html = report.read_text(encoding="utf-8")
    page.write_text(html.replace("<main>", f"<main>{''.join(INTRUDERS)}", 1), encoding="utf-8")
    found = visit(page).until(USABLE)
    found.page.locator("p[onclick]").dispatch_event("click")  # some versions look at a handler only when it is to run
    for _ in range(50):
        if set(found.refused) == set(INTRUDERS.values()):
            break
        found.page.wait_for_timeout(200)
    assert set(found.refused) == set(INTRUDERS.values())
    assert found.page.title() != "taken"
    assert len([said for said in found.said if said.startswith("error: ")]) >= len(INTRUDERS)
    assert {found.failed[address] for address in found.asked} == {"csp"}


def test_the_tests_would_see_what_a_page_says_and_asks_for(visit, tmp_path):
    page = tmp_path / "loud.html"
    page.write_text(
        """<!doctype html><meta charset="utf-8"><title>loud</title><img src="https://example.invalid/x.png">
        <script>console.log("hello"); alert("look"); fetch("http://127.0.0.1:9/").catch(() => {});
        new WebSocket("ws://127.0.0.1:9/"); document.title = "ran"; throw new Error("late")</script>"""
    )
    found = visit(page)
    assert found.page.title() == "ran"
    assert {"log: hello", "dialog: look", "uncaught: late"} <= set(found.said)
    assert {"https://example.invalid/x.png", "http://127.0.0.1:9/", "ws://127.0.0.1:9/"} == set(found.asked)
    assert found.failed["https://example.invalid/x.png"] == "net::ERR_INTERNET_DISCONNECTED"
    assert found.refused == []


def test_the_page_itself_never_scrolls_sideways(drawn):
    """Wide tables scroll in their own containers, also where everything has been unfolded."""
    width = drawn.page.viewport_size["width"]
    assert drawn.widths() == (width, width)
    with drawn.unfolded():
        assert drawn.widths() == (width, width)


def test_pictures_of_each_section(drawn, keep):
    sections = {s.get_attribute("id"): s for s in drawn.page.locator("main > section[id]").all()}
    assert {"data", "explore", "models", "why", "group", "method"} <= set(sections)
    pictures = {name: section.screenshot() for name, section in sections.items()}
    drawn.page.evaluate("scrollTo(0, 0)")
    pictures |= {"first_screen": drawn.page.screenshot(), "page": drawn.page.screenshot(full_page=True)}
    keep(drawn, pictures)


def test_pictures_of_the_dark_page(report, visit, keep):
    found = visit(report, colour_scheme="dark").until(DRAWN)
    keep(found, {"dark_first_screen": found.page.screenshot(), "dark_page": found.page.screenshot(full_page=True)})


@pytest.fixture
def keep(request, tmp_path_factory):
    """(visit, pictures by name) → kept to be looked at, not compared; as wide as the page, none like another."""
    folder = Path(os.environ.get(SCREENSHOTS) or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    language = request.node.callspec.params["report"]

    def kept(found, pictures):
        width = found.page.viewport_size["width"]
        for name, picture in pictures.items():
            (folder / f"{language}_{width}_{name}.png").write_bytes(picture)
            assert picture.startswith(b"\x89PNG")
            assert 0.5 * width < int.from_bytes(picture[16:20]) <= width
        assert len(set(pictures.values())) == len(pictures)

    return kept
