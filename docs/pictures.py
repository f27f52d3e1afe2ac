"""a run folder → the guide's pictures of its report, in both languages: docs/images/*.png.

    .venv/bin/python docs/pictures.py reports/complete_journey/latest

Needs Chromium, and Pillow to make the files small.
"""

from __future__ import annotations

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

IMAGES = Path(__file__).parent / "images"
WIDTH, HEIGHT = 1280, 900
MOST_BYTES = 300_000
# What is shown of the report: the file's name, and the section whose beginning is at the top.
SHOWN = {"report": None, "models": "#models", "group": "#group"}
# A little further than the section's beginning, past the end of the one before.
_SCROLL = "(s) => scrollTo({top: document.querySelector(s).getBoundingClientRect().top + scrollY, behavior: 'instant'})"
COLOURS = 256  # enough for text and plain figures, and a third of the size


def main(run: Path) -> None:
    """Draw every picture of SHOWN in English and Korean. Raises ValueError where one is larger than MOST_BYTES."""
    chromium = next(p for p in map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome")) if p)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium)
        page = browser.new_page(
            viewport={"width": WIDTH, "height": HEIGHT}, color_scheme="light", reduced_motion="reduce"
        )
        page.goto((run / "index.html").resolve().as_uri())
        for language in ("en", "ko"):
            if page.locator("html").get_attribute("lang") != language:
                page.locator(f'button[data-language="{language}"]').click()
            page.locator('html[data-drawn="all"]').wait_for(state="attached", timeout=120_000)
            for name, section in SHOWN.items():
                _draw(page, section, IMAGES / f"{name}_{language}.png")
        browser.close()


def _draw(page: Page, section: str | None, file: Path) -> None:
    page.evaluate("scrollTo({top: 0, behavior: 'instant'})")
    if section:
        page.evaluate(_SCROLL, section)
    page.wait_for_timeout(2_000)  # until figures are drawn, and the place of reading is marked
    picture = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
    picture.quantize(COLOURS, dither=Image.Dither.NONE).save(file, optimize=True)
    if (size := file.stat().st_size) > MOST_BYTES:
        raise ValueError(f"{file}: {size} bytes, more than {MOST_BYTES}; show less, or with fewer colours")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
