"""Fonts for characters that the usual font of figures lacks, such as Chinese ones."""

import logging
from contextlib import suppress
from typing import Any

from matplotlib.figure import Figure
from matplotlib.font_manager import (
    FontEntry,
    FontProperties,
    findfont,
    findSystemFonts,
    fontManager,
    get_font,
)
from matplotlib.text import Text

log = logging.getLogger(__name__)

_PLAIN = 0x250  # below, the fonts of matplotlib have every character
_MOST = 5  # further fonts of a figure
# Fonts of bitmaps, which matplotlib cannot draw, and those with a box for each character.
_LEFT_OUT = "emoji", "color", "last resort", "lastresort"


def use_fonts(figure: Figure) -> Figure:
    """Give the texts of a figure fonts that have their characters, as far as there are some.

    Characters of no installed font become question marks, and one warning says what to install.
    Return the figure.
    """
    missing = missing_characters(figure)
    if not missing:
        return figure
    families, left = families_with(missing)
    marks = dict.fromkeys(map(ord, left), "?")
    for text in _texts(figure):
        if missing & {*text.get_text()}:
            text.set_fontfamily([*text.get_fontfamily(), *families])
            text.set_text(text.get_text().translate(marks))
    if left:
        shown = ", ".join(f"{c} (U+{ord(c):04X})" for c in sorted(left)[:3])
        log.warning(
            "%d characters of names, such as %s, are in no installed font, and are drawn as ?;"
            " install a font that has them, such as fonts-noto-cjk for Chinese, Japanese and"
            " Korean, or another one of https://fonts.google.com/noto",
            *(len(left), shown),
        )
    return figure


def missing_characters(figure: Figure) -> set[str]:
    """Return the characters in the texts of a figure that its fonts lack."""
    shown = {*"".join(text.get_text() for text in _texts(figure))}
    used = {c for c in shown if ord(c) >= _PLAIN and not c.isspace()}
    if not used:
        return set()
    usual = get_font(findfont(FontProperties()))
    return {c for c in used if not usual.get_char_index(ord(c))}


def families_with(characters: set[str]) -> tuple[list[str], set[str]]:
    """Return installed fonts that have some characters, the best ones, and what is left."""
    known = {entry.fname for entry in fontManager.ttflist}
    for path in findSystemFonts():  # matplotlib keeps a list from before later installations
        if path not in known:
            with suppress(OSError, RuntimeError):  # not readable, or not a font
                fontManager.addfont(path)
    has: dict[str, set[str]] = {}
    for entry in sorted(fontManager.ttflist, key=_plainness):
        if entry.name not in has and not any(w in entry.name.lower() for w in _LEFT_OUT):
            has[entry.name] = _covered(entry, characters)
    families, left = [], set(characters)
    while left and has and len(families) < _MOST:
        best = max(has, key=lambda name: len(has[name] & left))
        if not has[best] & left:
            break
        families.append(best)
        left -= has.pop(best)
    return families, left


def _plainness(entry: FontEntry) -> tuple[bool, bool, str]:
    return entry.style != "normal", entry.weight not in (400, "normal", "regular"), entry.name


def _covered(entry: FontEntry, characters: set[str]) -> set[str]:
    """Return the characters that a font has; none if it cannot be opened, as after its removal."""
    try:
        font = get_font(entry.fname)
    except (OSError, RuntimeError):
        return set()
    return {c for c in characters if font.get_char_index(ord(c))}


def _texts(figure: Figure) -> list[Any]:
    return figure.findobj(Text)
