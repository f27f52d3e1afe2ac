"""A real browser for the tests: a page from file:// without network, and all it says, asks for and is refused."""

from __future__ import annotations

import runpy
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Dialog, Locator, Page, expect, sync_playwright

from tschurn.report import build

CHROMIUM = next((p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome")) if p), None)
FLAGS = ("--disable-gpu", "--disable-quic", "--disable-dev-shm-usage")
PATIENCE_MS = 120_000  # on a machine that does other things too
HEIGHTS = {390: 844, 1280: 900}
# Set by the page on its root element: as soon as it can be used, and when every figure has been drawn.
READY, DRAWN = 'html[data-ready="yes"]', 'html[data-drawn="all"]'
# A function called with (effective directive, what was blocked) where the page's policy refuses something.
LISTEN = """addEventListener("securitypolicyviolation", (e) => tellRefused(e.effectiveDirective, e.blockedURI))"""
UNFOLD = """
for (const folded of document.querySelectorAll("main details:not([open])")) {
  folded.open = true;
  folded.dataset.was = true;
}
for (const box of document.querySelectorAll("main .pick input:not(:checked)")) {
  box.click();
  box.dataset.was = true;
}
"""
FOLD = """
for (const folded of document.querySelectorAll("main details[data-was]")) folded.open = false;
for (const box of document.querySelectorAll("main .pick input[data-was]")) box.click();
for (const folded of document.querySelectorAll("main [data-was]")) delete folded.dataset.was;
"""
made = runpy.run_path(str(Path(__file__).parent.parent / "report" / "fixture_tables.py"))


@dataclass
class Visit:
    """An opened page, and what it did: all lists are in the order of time and grow while it is open."""

    page: Page
    said: list[str] = field(default_factory=list)  # console messages of any kind, uncaught errors, dialogs
    asked: list[str] = field(default_factory=list)  # addresses it asked for, less its own file, data: and blob:
    failed: dict[str, str] = field(default_factory=dict)  # of these, why they were not answered; "csp": by its policy
    refused: list[tuple[str, str]] = field(default_factory=list)  # by its policy: (directive, what)

    def until(self, state: str) -> Visit:
        """Wait for READY or DRAWN. Not page.wait_for_function: that evaluates text, which the page's policy refuses."""
        self.page.locator(state).wait_for(state="attached", timeout=PATIENCE_MS)
        return self

    def widths(self) -> tuple[int, int]:
        """How wide the page's contents are, and how wide the part that is seen, in pixels."""
        root = "document.documentElement"
        return tuple(self.page.evaluate(f"[{root}.scrollWidth, {root}.clientWidth]"))

    @contextmanager
    def unfolded(self) -> Iterator[None]:
        """For a while all that can be folded is open, all that can be picked is picked, and all figures are drawn."""
        self.page.evaluate(UNFOLD)
        expect(self.undrawn()).to_have_count(0, timeout=PATIENCE_MS)
        try:
            yield
        finally:
            self.page.evaluate(FOLD)

    def undrawn(self) -> Locator:
        """The places of figures in which none has been drawn."""
        return self.page.locator('main .plot[id^="figure-"]:not(:has(.main-svg))')


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One headless Chromium for all tests of this folder; it ends with them, and its event loop with it."""
    if CHROMIUM is None:
        pytest.skip("no Chromium found (Debian: apt-get install chromium)")
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=list(FLAGS), timeout=PATIENCE_MS)
        yield chromium
        chromium.close()


@pytest.fixture
def visit(browser: Browser) -> Iterator[Callable[..., Visit]]:
    """The arguments of `visiting` after the browser → its Visit, closed when the test ends."""
    with ExitStack() as visits:
        yield lambda *args, **keywords: visits.enter_context(visiting(browser, *args, **keywords))


@contextmanager
def visiting(
    browser: Browser, file: Path, width: int = 1280, locale: str = "en-US", colour_scheme: str = "light"
) -> Iterator[Visit]:
    """A file, opened in a profile of its own without network; width: of the viewport, one of HEIGHTS."""
    context = browser.new_context(
        viewport={"width": width, "height": HEIGHTS[width]},
        locale=locale,
        color_scheme=colour_scheme,
        reduced_motion="reduce",
        offline=True,
    )
    found = Visit(context.new_page())
    page, own = found.page, file.resolve().as_uri()

    def ask(address: str) -> None:
        if address.partition("#")[0] != own and not address.startswith(("data:", "blob:")):
            found.asked.append(address)

    def interrupt(dialog: Dialog) -> None:
        found.said.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    page.on("console", lambda message: found.said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: found.said.append(f"uncaught: {error}"))
    page.on("dialog", interrupt)
    page.on("request", lambda request: ask(request.url))
    page.on("requestfailed", lambda request: found.failed.update({request.url: str(request.failure)}))
    page.on("websocket", lambda socket: ask(socket.url))
    page.expose_function("tellRefused", lambda directive, what: found.refused.append((directive, what)))
    page.add_init_script(LISTEN)
    page.goto(own, timeout=PATIENCE_MS)
    yield found
    context.close()


@pytest.fixture(scope="package", params=["en", "ko"])
def report(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """index.html of a simulated run with hostile names among its users and events; begins in English, or in Korean."""
    folder = tmp_path_factory.mktemp(f"report_{request.param}")
    build(made["tables"](), [], made["experiment"](request.param, simulated=True), made["manifest"](), folder)
    return folder / "index.html"


@pytest.fixture(scope="package", params=sorted(HEIGHTS))
def drawn(request: pytest.FixtureRequest, browser: Browser, report: Path) -> Iterator[Visit]:
    """The report on a phone and on a desk, every figure drawn; for tests that leave it as it is."""
    with visiting(browser, report, request.param) as found:
        yield found.until(DRAWN)
