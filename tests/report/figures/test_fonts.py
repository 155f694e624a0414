import logging

import matplotlib
from matplotlib.figure import Figure

from vgae.report.figures import fonts
from vgae.report.figures.fonts import families_with, missing_characters, use_fonts

ARABIC = "\u0642\u0627\u0647\u0631\u0629"  # in DejaVu Sans, not in DejaVu Serif
NOWHERE = "\ue123"  # for private use


def figure_with(*texts):
    with matplotlib.rc_context({"font.family": "DejaVu Serif"}):
        figure = Figure()
        for text in texts:
            figure.text(0.5, 0.5, text)
    return figure


def test_characters_that_a_font_lacks_come_from_another_one(caplog, recwarn):
    with matplotlib.rc_context({"font.family": "DejaVu Serif"}):
        figure = figure_with("plain", f"{ARABIC} (3)")
        assert missing_characters(figure) == set(ARABIC)
        families, left = families_with(set(ARABIC))
        use_fonts(figure)
    assert families
    assert not left
    plain, arabic = figure.texts
    assert plain.get_fontfamily() == ["DejaVu Serif"]
    assert arabic.get_fontfamily() == ["DejaVu Serif", *families]
    assert arabic.get_text() == f"{ARABIC} (3)"
    figure.draw_without_rendering()
    assert not caplog.text
    assert not recwarn.list


def test_characters_of_no_font_are_question_marks_with_one_warning(caplog, recwarn, monkeypatch):
    monkeypatch.setattr(fonts, "_covered", lambda entry, characters: set())
    figure = use_fonts(figure_with(f"a{NOWHERE}b", NOWHERE))
    assert [text.get_text() for text in figure.texts] == ["a?b", "?"]
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "U+E123" in record.getMessage()
    assert "fonts-noto-cjk" in record.getMessage()
    figure.draw_without_rendering()
    assert not recwarn.list


def test_the_font_of_last_resort_is_not_taken():
    families, _ = families_with({NOWHERE, "\U00013000"})
    assert not any("resort" in name.lower() for name in families)


def test_a_font_that_was_removed_is_passed_over():
    gone = fonts.FontEntry("/nowhere/gone.ttf", "Gone", "normal", "normal", 400, "normal", "0")
    assert fonts._covered(gone, {"a"}) == set()
