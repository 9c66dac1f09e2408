"""A hook of the site's build: formulas become drawings, so that a page needs no script, no font and no other server."""

import html
import re
from typing import Any

import ziamath

_FORMULA = re.compile(r'<(span|div) class="arithmatex">\\[(\[](.*?)\\[)\]]</\1>', re.DOTALL)
_SIZE = 17
"""Pixels, beside text of 16."""

ziamath.config.svg2 = False  # paths, not glyphs by reference: the names of two drawings on a page would collide
ziamath.config.math.color = ziamath.config.text.color = "currentColor"  # that of the text around, in dark mode too


def on_page_content(content: str, **_: Any) -> str:
    """Draws the formulas in the HTML of a page; MkDocs calls it for every page.

    Raises:
        ValueError: if a formula is left as it was.
    """
    drawn = _FORMULA.sub(lambda found: _drawn(html.unescape(found[2]).strip(), block=found[1] == "div"), content)
    if 'class="arithmatex"' in drawn:
        raise ValueError("a formula could not be found between its delimiters")
    return drawn


def _drawn(formula: str, *, block: bool) -> str:
    # ziamath knows align* alone, which other renderers of the same page do not take inside of a display.
    drawing = ziamath.Latex(formula.replace("{aligned}", "{align*}"), size=_SIZE, inline=not block)
    style = "display:block;overflow-x:auto;text-align:center" if block else "display:inline-block"
    style += "" if block else f";vertical-align:{drawing.getyofst():.1f}px"
    label = html.escape(formula, quote=True)
    return f'<span role="img" aria-label="{label}" style="{style}">{drawing.svg()}</span>'
