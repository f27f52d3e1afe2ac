"""The guide's settings for Sphinx: docs/en or docs/ko → docs/_build/en or docs/_build/ko (`make docs`)."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

import sphinx.search  # noqa: E402
from generated import fill, plain  # noqa: E402
from korean import Korean  # noqa: E402

from tschurn import __version__  # noqa: E402

project = "tschurn"
author = copyright = "tschurn authors"
version = release = __version__
# `sphinx-build -t ko` makes the Korean one.
language = "ko" if tags.has("ko") else "en"  # noqa: F821, which Sphinx defines
sphinx.search.languages["ko"] = Korean

extensions = ["myst_parser", "sphinx.ext.autodoc"]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
templates_path = ["_templates"]

html_theme = "furo"
html_title = "tschurn"
html_static_path = ["_static"]
html_css_files = ["guide.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {"top_of_page_buttons": []}
html_sidebars = {
    "**": ["sidebar/brand.html", "language.html", "sidebar/search.html", "sidebar/scroll-start.html",
           "sidebar/navigation.html", "sidebar/scroll-end.html"]
}  # fmt: skip


def setup(app) -> None:
    """What Sphinx calls: pages are filled in as they are read, docstrings come as plain text."""
    app.connect("source-read", lambda app, page, source: source.__setitem__(0, fill(source[0], app.config.language)))
    app.connect("autodoc-process-docstring", lambda app, what, name, thing, options, lines: plain(lines))
