"""Korean text → pairs of neighbouring syllables, for the search of the guide; Sphinx brings no Korean.

A Korean word carries its particles with it: who looks for 이탈 wants 이탈은 and 이탈률 as well. Pairs of syllables find
them without a dictionary: 이탈률 is 이탈 and 탈률, and a query is found where all of its pairs are.
"""

from __future__ import annotations

import re

from sphinx.search import SearchLanguage

_PIECES = re.compile(r"[가-힣]+|[^\W가-힣]+")


class Korean(SearchLanguage):
    """Splits text and queries alike, in Python for the index and in JavaScript for the page."""

    lang = "ko"
    language_name = "Korean"
    js_splitter_code = """
var splitQuery = (query) =>
  (query.match(/[가-힣]+|(?:(?![가-힣])[\\p{Letter}\\p{Number}_])+/gu) || []).flatMap((piece) =>
    /^[가-힣]{3,}$/.test(piece) ? [...piece].slice(1).map((after, i) => piece[i] + after) : [piece]);
"""

    def split(self, input: str) -> list[str]:
        """Text → its words, and of Korean ones each pair of neighbouring syllables."""
        pieces = _PIECES.findall(input)
        return [part for piece in pieces for part in (_pairs(piece) if "가" <= piece[0] <= "힣" else [piece])]

    def stem(self, word: str) -> str:
        """A word as it is looked for: capitals do not matter."""
        return word.lower()


def _pairs(word: str) -> list[str]:
    return [word[i : i + 2] for i in range(len(word) - 1)] or [word]
