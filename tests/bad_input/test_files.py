"""Files that are missing, damaged or something else, and downloads: rows L of the catalogue."""

import codecs
import csv
import gzip
import io
import json
import os
import re
import unicodedata
import zipfile

import numpy as np
import pyarrow as pa
import pytest

from vgae.data.files import read_npz

LINES = [f"n{k} n{(k + 1) % 40} {1 + k % 3}" for k in range(40)]
TEXT = "\n".join(LINES) + "\n"
PACKED = gzip.compress(TEXT.encode(), mtime=0)
NFC, NFD = (unicodedata.normalize(form, "Zürich") for form in ("NFC", "NFD"))
GRAPH = {"format": "vgae-graph-1", "num_nodes": 3, "edges": np.array([[0, 1], [1, 2]])}


def npz(arrays):
    file = io.BytesIO()
    np.savez(file, **arrays)
    return file.getvalue()


def flipped(content):
    """Return an npz with one bit changed in the numbers of its last member."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        member = archive.infolist()[-1]
    damaged = bytearray(content)
    damaged[member.header_offset + 30 + len(member.filename) + 128 + 20] ^= 1
    return bytes(damaged)


def npy_header(shape, descr="<f8"):
    file = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        file, {"descr": descr, "fortran_order": False, "shape": shape}
    )
    return file.getvalue()


def npz_with(member, content):
    """Return an npz of the graph with one member replaced by these bytes."""
    file = io.BytesIO(npz({name: value for name, value in GRAPH.items() if name != member}))
    with zipfile.ZipFile(file, "a") as archive:
        archive.writestr(f"{member}.npy", content)
    return file.getvalue()


def loop(path):
    path.symlink_to(path.name)


def dangling(path):
    path.symlink_to("nowhere")


REFUSED = [
    pytest.param({}, "g.csv", "CANNOT_READ", ["No such file"], id="L01-missing"),
    pytest.param(
        {"g.csv": os.mkdir},
        "g.csv",
        "CANNOT_READ",
        ["this folder holds no graph"],
        id="L01-folder",
    ),
    pytest.param({"g.csv": os.mkfifo}, "g.csv", "CANNOT_READ", ["not a file"], id="L01-pipe"),
    pytest.param({"g.csv": loop}, "g.csv", "CANNOT_READ", ["symbolic links"], id="L01-loop"),
    pytest.param({"g.csv": dangling}, "g.csv", "CANNOT_READ", ["No such file"], id="L01-dangling"),
    *(
        pytest.param({file: b""}, file, "FILE_EMPTY", ["again"], id=f"L02-{file}")
        for file in ("g.csv", "g.npz", "g.mtx", "g.parquet", "g.csv.gz")
    ),
    pytest.param(
        {"g.csv": "# nothing\n\n"},
        "g.csv",
        "NO_EDGES",
        ["only a header, comments"],
        id="L02-blank",
    ),
    pytest.param(
        {"g.csv": "source,target\n"}, "g.csv", "NO_EDGES", ["only a header"], id="L03-alone"
    ),
    pytest.param(
        {"g.csv": TEXT},
        "g.csv --delimiter ;",
        "FIELDS",
        ["line 1: expected 2 or 3 fields separated by semicolons, got 1"],
        id="L04",
    ),
    *(
        pytest.param(
            {"g.csv": f"a,b\nb,c\n{line}\nd,e\n"},
            "g.csv",
            "FIELDS",
            [f"line 3: expected {expected}, got {got}; .*--delimiter"],
            id=f"L05-{got}",
        )
        for expected in ["2 fields separated by commas as in the lines before"]
        for line, got in [("c", 1), ("c,d,1", 3), ("c,d,1,2", 4)]
    ),
    pytest.param(
        {"g.txt": "a b\nb c\n1 2 {'weight': 3}\n"}, "g.txt", "FIELDS", ["line 3:"], id="L06-dict"
    ),
    pytest.param(
        {"g.csv": "a,b,1\nb,c,blue\n"}, "g.csv", "BAD_WEIGHT", ["line 2:.*'blue'"], id="L06-word"
    ),
    *(
        pytest.param(
            {"g.csv": content},
            "g.csv",
            "ENCODING",
            [words, "--encoding"],
            id=f"L09-{name}",
        )
        for name, content, words in [
            ("utf-16", "a,b\n".encode("utf-16"), "byte 0xff at offset 0, .*UTF-16"),
            ("latin-1", "Zürich,b\n".encode("latin-1"), "byte 0xfc at offset 1 is not utf-8"),
            ("invalid", b"a,b\nb,\xc3\x28\n", "byte 0xc3 at offset 6 is not utf-8"),
            ("NUL", b"a,b\nb,c\0\n", "line 2: a NUL character"),
        ]
    ),
    pytest.param(
        {"g.csv": "a,b\n" + "c" * 2**20 + ",d\n"},
        "g.csv",
        "LINE_LENGTH",
        ["line 2: it has more than 1048576 characters; .* line ends"],
        id="L14",
    ),
    *(
        pytest.param(
            {"g.txt.gz": content},
            "g.txt.gz",
            "GZIP_CORRUPT",
            [r"g\.txt\.gz", "download it again"],
            id=f"L15-{name}",
        )
        for name, content in [
            ("cut-short", PACKED[:-20]),
            ("checksum", PACKED[:-8] + b"\0\0\0\0" + PACKED[-4:]),
            ("length", PACKED[:-4] + b"\0\0\0\0"),
            ("garbage-inside", PACKED[:20] + b"\xff" * 9 + PACKED[29:]),
            ("junk-behind", PACKED + b"junk"),
            ("plain-text", b"Log in first"),
        ]
    ),
    pytest.param(
        {"g.txt.gz": gzip.compress((b"a" * 999 + b" b\n") * 20_000)},
        "g.txt.gz",
        "UNPACKED_SIZE",
        [r"more than 16777216; if you trust it, unpack it"],
        id="L16",
    ),
    pytest.param(
        {"g.npz": npz({**GRAPH, "edges": np.array([[0, None]])})},
        "g.npz",
        "PICKLE_REFUSED",
        [r"g\.npz: it holds pickled objects"],
        id="L20",
    ),
    *(
        pytest.param(
            {"g.npz": arrays},
            "g.npz",
            "NPZ_KEYS",
            [r"must hold format, num_nodes, edges", found],
            id=f"L21-{name}",
        )
        for name, arrays, found in [
            ("missing", {"format": "vgae-graph-1", "num_nodes": 3}, "found format, num_nodes"),
            ("other-names", {"links": np.zeros((2, 2), int)}, "found links"),
            ("none", {}, "found nothing|NPZ"),
        ]
    ),
    pytest.param(
        {"g.npz": {**GRAPH, "format": "vgae-graph-9"}},
        "g.npz",
        "NPZ_KEYS",
        ["vgae-graph-3 or vgae-graph-4, got .?vgae-graph-9"],
        id="L21-version",
    ),
    *(
        pytest.param({"g.npz": content}, "g.npz", "NPZ_CORRUPT", [r"g\.npz: "], id=f"L22-{name}")
        for name, content in [
            ("bit", flipped(npz(GRAPH))),
            ("cut-short", npz(GRAPH)[:-30]),
            ("not-a-zip", b"no archive"),
            ("start-of-a-zip", b"PK\3\4"),
        ]
    ),
    *(
        pytest.param(
            {"g.npz": npz_with("edges", npy_header(shape))},
            "g.npz",
            "NPZ_CORRUPT",
            [r"g\.npz: "],
            id=f"L23-npz-{name}",
        )
        for name, shape in [("2**50", (2**50, 1)), ("2**64", (2**32, 2**32))]
    ),
]


@pytest.mark.parametrize(("files", "source", "code", "says"), REFUSED)
def test_a_file_that_cannot_be_read_is_one_line(refused, files, source, code, says):
    refused(files, f"convert {source}", code, r"g\.\w+", *says)


@pytest.mark.row("L20")
def test_a_refusal_of_objects_does_not_tell_how_to_let_them_in(refused):
    message = refused({"g.npz": {"x": np.array([None])}}, "train g.npz", "PICKLE_REFUSED")
    assert "allow_pickle" not in message


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(npy_header((2**50, 1)), id="L23-2**50"),
        pytest.param(npy_header((2**32, 2**32)), id="L23-2**64"),
        pytest.param(npy_header((4, 2)) + bytes(63), id="L23-short"),
        pytest.param(npy_header((4, 2)) + bytes(65), id="L23-long"),
    ],
)
def test_a_npy_that_states_more_than_it_has_is_refused_before_it_is_read(refused, content):
    files = {"g.csv": "0,1\n1,2\n", "x.npy": content}
    says = r"x\.npy: it states \d+ bytes of numbers and has \d+"
    refused(files, "train g.csv --features x.npy", "NPY_CORRUPT", says)


@pytest.mark.row("L01")
@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may read all")
def test_a_file_that_may_not_be_read_is_one_line(refused, tmp_path):
    (tmp_path / "g.csv").write_text("a,b\n")
    (tmp_path / "g.csv").chmod(0)
    says = r"g\.csv.*Permission denied"
    try:
        refused({}, "convert g.csv", "CANNOT_READ", says)
    finally:
        (tmp_path / "g.csv").chmod(0o600)


# Text in other forms.


@pytest.mark.parametrize(
    "content",
    [
        pytest.param("\n".join(LINES), id="L10-no-final-newline"),
        pytest.param("\r\n".join([*LINES, ""]), id="L10-CRLF"),
        pytest.param("\r".join([*LINES, ""]), id="L10-CR"),
        pytest.param(" \t\n".join([*LINES, "", ""]), id="L10-trailing-blanks"),
        pytest.param(TEXT.replace(" ", "\t"), id="L10-tabs"),
        pytest.param(TEXT.replace(" ", ","), id="L04-commas"),
        pytest.param(TEXT.replace(" ", "; "), id="L04-semicolons"),
        pytest.param("# a, comment\n" + TEXT + "% another\n", id="L07-comments"),
        pytest.param(codecs.BOM_UTF8 + TEXT.encode(), id="L08"),
        pytest.param("from to weight\n" + TEXT, id="L03-header"),
        pytest.param(PACKED, id="L15-intact"),
    ],
)
def test_the_same_edges_in_another_form_are_the_same_graph(converted, content):
    expected = converted({"g.txt": TEXT}, "convert g.txt")
    graph = converted({"g.txt": content}, "convert g.txt")
    assert graph.fingerprint == expected.fingerprint
    assert graph.ids == expected.ids


@pytest.mark.parametrize(
    ("text", "notice"),
    [
        pytest.param("source,target\na,b\n", "header 'source,target', 1 edges", id="L03-said"),
        pytest.param("a;b\nb;c\n", "separated by semicolons, no header, 2 edges", id="L04-said"),
        pytest.param(
            "person,friend\na,b\nb,c\n",
            r"no other line names .*'person' and 'friend'; .*--header",
            id="L03-doubt",
        ),
    ],
)
def test_what_was_detected_is_announced(accepted, text, notice):
    assert re.search(notice, accepted({"g.csv": text}, "convert g.csv").notices)


@pytest.mark.row("L03")
def test_a_header_is_what_one_says_it_is(converted):
    files = {"g.csv": "person,friend\na,b\n"}
    assert converted(files, "convert g.csv --header").ids == ("a", "b")
    assert converted(files, "convert g.csv --no-header").ids == ("a", "b", "friend", "person")


@pytest.mark.row("L07")
def test_a_hash_within_a_name_belongs_to_it(converted):
    assert converted({"g.csv": "a#1,C#\nC#,b\n"}, "convert g.csv").ids == ("C#", "a#1", "b")


@pytest.mark.row("L09")
@pytest.mark.parametrize("encoding", ["utf-16", "latin-1"])
def test_another_encoding_is_read_where_it_is_named(converted, encoding):
    files = {"g.csv": "Zürich,Bern\n".encode(encoding)}
    graph = converted(files, f"convert g.csv --encoding {encoding}")
    assert graph.ids == ("Bern", "Zürich")


@pytest.mark.row("L11")
def test_names_that_only_look_the_same_are_two_nodes_and_a_warning(accepted, tmp_path):
    files = {"g.csv": f"{NFC},Bern\n{NFD},Bern\n"}
    answer = accepted(files, "convert g.csv")
    assert read_npz(tmp_path / "out.npz").ids == tuple(sorted(["Bern", NFC, NFD]))
    assert answer.notices.count("look the same") == 1
    assert "(--normalize nfc)" in answer.notices


@pytest.mark.row("L11")
@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_names_that_only_look_the_same_are_one_node_where_that_is_asked_for(
    accepted, tmp_path, kind
):
    table = pa.table({"source": [NFC, NFD], "target": ["Bern", "Bern"]})
    edges = table if kind == "parquet" else f"{NFC},Bern\n{NFD},Bern\n"
    files = {f"g.{kind}": edges, "x.csv": f"id,f\n{NFD},1\nBern,2\n"}
    answer = accepted(files, f"convert g.{kind} --features x.csv --normalize nfc")
    graph = read_npz(tmp_path / "out.npz")
    assert (graph.ids, graph.num_links) == (("Bern", NFC), 1)
    assert graph.x.tolist() == [[2], [1]]
    assert "look the same" not in answer.notices


@pytest.mark.row("L11")
def test_two_rows_of_features_for_one_normal_name_are_refused(refused):
    files = {"g.csv": f"{NFC},Bern\n", "x.csv": f"id,f\n{NFD},1\n{NFC},3\nBern,2\n"}
    line = "convert g.csv --features x.csv --normalize nfc"
    refused(files, line, "NODE_ID", r"x\.csv: each node must have one row, got .* again")


@pytest.mark.row("L11")
def test_a_normal_form_that_there_is_not_is_refused(refused):
    line = "convert g.csv --normalize nfx"
    refused({"g.csv": "a,b\n"}, line, "NORMALIZE", "'none', 'nfc'.*got 'nfx'", status=2)


@pytest.mark.row("L12")
def test_digits_of_other_scripts_are_text(converted):
    graph = converted({"g.txt": "1 2\n\u0661 \u0662\n"}, "convert g.txt")
    assert graph.ids == ("1", "2", "\u0661", "\u0662")


@pytest.mark.row("L13")
def test_names_with_controls_come_out_as_they_went_in_and_do_nothing_to_a_terminal(
    accepted, tmp_path
):
    names = ["a\nb", "c\td", 'e"f', "g,h", "i\x1b[31mj", "k\u202el", "=1+1"]
    others = [f"n{k}" for k in range(30)]
    quoted = ['"' + name.replace('"', '""') + '"' for name in names]
    lines = [f"{name},{other}" for other in others for name in quoted][::2]
    accepted({"g.csv": "\n".join(lines)}, "train g.csv --epochs 1")
    accepted({}, "embed run -o z.csv")
    accepted({}, "embed run -o z.json")
    out = accepted({}, "predict run --top-k 3 --overall").out
    rows = json.loads((tmp_path / "z.json").read_text())
    assert {row["id"] for row in rows} == {*names, *others}
    with (tmp_path / "z.csv").open(newline="") as file:
        read = {row[0] for row in list(csv.reader(file))[1:]}
    # A spreadsheet would run the last one, but for the apostrophe.
    assert read == {*names[:-1], "'=1+1", *others}
    assert "\x1b" not in out
    assert "\u202e" not in out
