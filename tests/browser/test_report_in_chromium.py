"""index.html from file:// in headless Chromium: every figure is drawn, no error, no request, no foreign element."""

from __future__ import annotations

import re
import runpy
import shutil
import subprocess
from pathlib import Path

import pytest

from tschurn.report import build

CHROMIUM = next((p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome")) if p), None)
pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium found (Debian: apt-get install chromium)"),
]
made = runpy.run_path(str(Path(__file__).parent.parent / "report" / "fixture_tables.py"))
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync",
    "--disable-background-networking", "--disable-component-update", "--disable-dev-shm-usage",
    "--allow-file-access-from-files", "--enable-logging=stderr", "--virtual-time-budget=20000", "--dump-dom",
)  # fmt: skip


def opened(page: Path, profile: Path, width: int = 1280) -> tuple[str, str]:
    """A file in a fresh browser → the DOM after all scripts have run, and the browser's console."""
    command = [CHROMIUM, *FLAGS, f"--user-data-dir={profile}", f"--window-size={width},1000", page.as_uri()]
    done = subprocess.run(command, capture_output=True, timeout=180, check=True)
    return done.stdout.decode(), done.stderr.decode()


def complaints(console: str) -> list[str]:
    """What the page itself said: script errors and violations of its policy."""
    return [line for line in console.splitlines() if "CONSOLE" in line]


@pytest.fixture(scope="module", params=["en", "ko"])
def report(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(f"report_{request.param}")
    build(made["tables"](), [], made["experiment"](request.param, simulated=True), made["manifest"](), folder)
    dom, console = opened(folder / "index.html", tmp_path_factory.mktemp("profile"))
    return folder, dom, console


def test_every_figure_is_drawn(report):
    _, dom, _ = report
    body = dom.partition("<main>")[2].partition("</main>")[0]
    places = re.findall(r'<div class="plot[^"]*" id="(figure-[^"]+)"', body)
    assert len(places) > 20
    for part in body.split('id="figure-')[1:]:
        assert 'class="main-svg"' in part, part[:200]
    assert 'data-drawn="all"' in dom


def test_the_console_is_silent(report):
    _, _, console = report
    assert complaints(console) == []


def test_names_from_the_log_made_no_elements(report):
    _, dom, _ = report
    body = dom.partition("<main>")[2].partition("</main>")[0]
    assert not re.search(r"<img|<script|onerror=\"|<b>bold", body.replace("<noscript>", ""))
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in body


def test_a_foreign_script_or_request_would_be_refused(report, tmp_path):
    """The silence above means something: the same page with an intruder is not silent."""
    folder, _, _ = report
    html = (folder / "index.html").read_text(encoding="utf-8")
    intruder = '<script>document.title = "taken"</script><img src="https://example.invalid/x.png">'
    page = tmp_path / "index.html"
    page.write_text(html.replace("<main>", f"<main>{intruder}", 1), encoding="utf-8")
    dom, console = opened(page, tmp_path / "profile")
    assert "<title>taken" not in dom
    assert len(complaints(console)) >= 2


@pytest.mark.parametrize("width", [390, 1280])
def test_the_page_itself_never_scrolls_sideways(report, tmp_path, width):
    """Wide tables scroll in their own containers. A frame of that width, since windows have a least width."""
    folder, _, _ = report
    frame = tmp_path / "frame.html"
    source, style = (folder / "index.html").as_uri(), f"width:{width}px;height:900px;border:0"
    measure = "const inner = frame.contentDocument.documentElement;"
    tell = "document.title = `${inner.scrollWidth} of ${inner.clientWidth}`"
    frame.write_text(
        f'<iframe id="frame" src="{source}" style="{style}"></iframe>'
        f"<script>onload = () => setTimeout(() => {{ {measure} {tell} }}, 9000)</script>"
    )
    dom, _ = opened(frame, tmp_path / "profile", 1400)
    wide, visible = map(int, re.search(r"<title>(\d+) of (\d+)</title>", dom).groups())
    assert 0.9 * width < visible <= width
    assert wide <= visible
