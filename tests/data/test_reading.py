"""Options of reading by name."""

import json

import pytest

from vgae.data.reading import Reading
from vgae.errors import UsageError


def test_only_what_differs_from_the_default_is_stored():
    reading = Reading(columns=["from", "to"], encode={"notes": "hash"}, directed="error")
    stored = json.loads(json.dumps(reading.to_dict()))
    assert stored == {"columns": ["from", "to"], "encode": {"notes": "hash"}, "directed": "error"}
    assert Reading.of(stored) == reading
    assert Reading().to_dict() == {}


def test_the_words_of_the_command_line_are_read_as_the_same_options():
    options = {"columns": ("from", "to"), "header": False, "drop_zero": True, "time": "when"}
    reading = Reading(**options, encoding="latin-1", encode={"a b": "hash", "c": "date-dmy"})
    words = reading.to_words()
    assert words[words.index("--columns") :][:2] == ["--columns", "from,to"]
    assert {"--no-header", "--drop-zero", "latin-1", "a b=hash", "c=date-dmy"} <= {*words}
    assert "when" not in words
    encoder = {"format": "vgae-table-1", "columns": [{"name": "age", "kind": "number"}]}
    assert Reading(encode=encoder).to_words() == ["--encode", "age=number"]
    assert Reading(encode="auto").to_words() == ["--encode", "auto"]
    assert Reading().to_words() == []


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        ({"colums": ("a", "b")}, "OPTION", "Did you mean columns"),
        ({"xyz": 1}, "OPTION", "there are format"),
        ({"delimiter": "||"}, "DELIMITER", "one character"),
        ({"comment": "//"}, "COMMENT", "one character"),
        ({"merge": "min"}, "MERGE", "'sum'"),
        ({"directed": "yes"}, "DIRECTED", "'symmetrize'"),
        ({"missing_features": "error"}, "MISSING_FEATURES", "'refuse'"),
        ({"normalize": "NFC"}, "NORMALIZE", "'nfc'"),
    ],
)
def test_options_that_do_not_exist_are_refused(options, code, words):
    with pytest.raises(UsageError, match=words) as caught:
        Reading.of(options)
    assert caught.value.code == code
