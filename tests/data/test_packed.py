"""Compressed text is the text, or an error of one kind; its size is limited."""

import bz2
import gzip
import lzma
import zipfile

import pytest

from vgae.data.files import read_graph
from vgae.data.packed import unpacked, unpacked_name, whole
from vgae.errors import DataError
from vgae.runtime import limits

EDGES = b"source,target\na,b\nb,c\n" * 1
PACK = {".gz": gzip.compress, ".bz2": bz2.compress, ".xz": lzma.compress}


def zipped(path, members, method=zipfile.ZIP_DEFLATED):
    with zipfile.ZipFile(path, "w", method) as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return path


def packed(tmp_path, suffix, content=EDGES):
    path = tmp_path / f"e.csv{suffix}"
    if suffix == ".zip":
        return zipped(path, {"e.csv": content})
    path.write_bytes(PACK[suffix](content))
    return path


def content_of(path):
    with unpacked(path) as file:
        return file.read()


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zip"])
def test_compressed_text_is_the_text(suffix, tmp_path):
    graph = read_graph(packed(tmp_path, suffix))
    assert (graph.name, graph.node_ids, graph.num_links) == ("e", ("a", "b", "c"), 2)
    long = b"".join(b"%d,%d\n" % (k, k + 1) for k in range(50_000))
    assert content_of(packed(tmp_path, suffix, long)) == long
    assert whole(packed(tmp_path, suffix, long)) == long


def test_streams_after_each_other_are_read(tmp_path):
    for suffix, pack in PACK.items():
        (tmp_path / f"e.csv{suffix}").write_bytes(pack(b"a,b\n") + pack(b"b,c\n"))
        assert content_of(tmp_path / f"e.csv{suffix}") == b"a,b\nb,c\n"


@pytest.mark.parametrize(
    ("suffix", "code"),
    [
        (".gz", "GZIP_CORRUPT"),
        (".bz2", "BZIP2_CORRUPT"),
        (".xz", "XZ_CORRUPT"),
        (".zip", "ZIP_CORRUPT"),
    ],
    ids=["L15-gz", "L15-bz2", "L15-xz", "L15-zip"],
)
def test_damaged_bytes_are_one_error(suffix, code, tmp_path):
    long = b"".join(b"%d,%d\n" % (k, k * k) for k in range(2000))
    path = packed(tmp_path, suffix, long)
    good = path.read_bytes()
    for bad in (good[: len(good) // 2], good[:200] + b"\0\xff" * 9 + good[218:], b"a,b\n"):
        path.write_bytes(bad)
        with pytest.raises(DataError) as caught:
            read_graph(path)
        assert caught.value.code == code
        assert str(path) in str(caught.value)


@pytest.mark.parametrize("suffix", [".gz", ".bz2", ".xz", ".zip"])
def test_a_bomb_is_refused_before_it_fills_the_memory(suffix, tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "TEXT", limits.TEXT._replace(always=2**18))
    path = packed(tmp_path, suffix, b"a,b\n" * 2**19)
    with pytest.raises(DataError, match="would unpack to at least") as caught:
        read_graph(path)
    assert caught.value.code == "UNPACKED_SIZE"


def test_a_decoder_that_asks_for_gigabytes_is_refused(tmp_path):
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 2**30}]
    (tmp_path / "e.csv.xz").write_bytes(lzma.compress(EDGES, filters=filters))
    with pytest.raises(DataError) as caught:
        read_graph(tmp_path / "e.csv.xz")
    assert caught.value.code == "XZ_CORRUPT"


def test_an_archive_has_the_name_of_its_member_and_its_own(tmp_path):
    path = zipped(tmp_path / "mine.zip", {"../../etc/x.graphml": "a", "__MACOSX/x": "b"})
    assert unpacked_name(path).name == "mine.graphml"
    path = zipped(tmp_path / "mine2.zip", {"folder/e.csv": EDGES})
    assert read_graph(path).name == "mine2"
    assert sorted(file.name for file in tmp_path.iterdir()) == ["mine.zip", "mine2.zip"]


@pytest.mark.row("L33")
@pytest.mark.parametrize("name", ["e.csv.zip", "e.zip"])
@pytest.mark.parametrize("members", [{}, {"a.csv": EDGES, "b.csv": EDGES}])
def test_an_archive_of_several_files_is_to_be_unpacked(name, members, tmp_path):
    with pytest.raises(DataError, match=r"unpack it \('unzip e") as caught:
        read_graph(zipped(tmp_path / name, members))
    assert caught.value.code == "ZIP_MEMBERS"


def test_an_encrypted_archive_is_refused(tmp_path):
    path = zipped(tmp_path / "e.csv.zip", {"e.csv": EDGES})
    content = bytearray(path.read_bytes())
    content[content.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(DataError, match="encrypted") as caught:
        read_graph(path)
    assert caught.value.code == "ZIP_MEMBERS"


def test_a_method_that_takes_memory_is_refused(tmp_path):
    with pytest.raises(DataError, match="method 14") as caught:
        read_graph(zipped(tmp_path / "e.csv.zip", {"e.csv": EDGES}, zipfile.ZIP_LZMA))
    assert caught.value.code == "ZIP_CORRUPT"


@pytest.mark.row("L38")
def test_a_document_beyond_its_limit_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(limits, "DOCUMENT", 100)
    (tmp_path / "g.json").write_text("[" + "[1,2]," * 50 + "[1,2]]")
    with pytest.raises(DataError, match=r"\.csv or \.parquet") as caught:
        read_graph(tmp_path / "g.json")
    assert caught.value.code == "FILE_SIZE"


def test_an_array_is_not_read_compressed(tmp_path):
    (tmp_path / "g.npy.gz").write_bytes(gzip.compress(b"x"))
    with pytest.raises(DataError, match=r"unpack g\.npy first") as caught:
        read_graph(tmp_path / "g.npy.gz")
    assert caught.value.code == "FILE_FORMAT"
