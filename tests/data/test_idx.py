import contextlib
import gzip
import itertools
import os
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vgae.data.idx import read_idx, read_idx_pair
from vgae.errors import DataError

IMAGES = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)


def idx(array, code=0x08):
    """Write the format by hand: magic, sizes, numbers."""
    return struct.pack(f">BBBB{array.ndim}I", 0, 0, code, array.ndim, *array.shape) + bytes(array)


def put(folder, content, name="file"):
    (folder / name).write_bytes(content)
    return folder / name


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize("name", ["file", "file.gz"])
@pytest.mark.parametrize(
    "array", [IMAGES, IMAGES[:0], IMAGES[0, 0]], ids=["images", "no images", "labels"]
)
def test_what_was_written_is_read_whatever_the_name(tmp_path, array, name, pack):
    path = put(tmp_path, pack(idx(array)), name)
    read = read_idx(path, dims=array.ndim)
    assert read.dtype == np.uint8
    assert read.shape == array.shape
    assert np.array_equal(read, array)


def test_members_of_a_gzip_follow_one_another(tmp_path):
    content = idx(IMAGES)
    path = put(tmp_path, gzip.compress(content[:20]) + gzip.compress(content[20:]))
    assert np.array_equal(read_idx(path, dims=3), IMAGES)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"some other text", "IDX_MAGIC", r"0x00000803, got 0x736f6d65 \(\'some\'\)"),
        (idx(IMAGES[0, 0]), "IDX_MAGIC", r"0x00000801 \(1 dimension\)"),
        (idx(IMAGES[0]), "IDX_MAGIC", r"0x00000802 \(2 dimensions\)"),
        (idx(IMAGES, code=0x0D), "IDX_MAGIC", r"0x00000d03 \(numbers of another type"),
        (idx(IMAGES)[:3], "IDX_MAGIC", "got 0x000008 "),
        (idx(IMAGES)[:9], "IDX_SIZE", "ends within its header"),
        (idx(IMAGES)[:-1], "IDX_SIZE", r"states 2 x 3 x 4 = 24 bytes, and 23 bytes follow"),
        (idx(IMAGES)[:16], "IDX_SIZE", "0 bytes follow"),
        (idx(IMAGES) + b"!", "IDX_SIZE", "24 bytes, and (25 bytes|more) follow"),
        (struct.pack(">4B3I", 0, 0, 8, 3, 2**31, 2, 0), "", ""),
        (struct.pack(">4B3I", 0, 0, 8, 3, *[2**22] * 3), "IDX_SIZE|UNPACKED_SIZE", str(2**66)),
        (struct.pack(">4B3I", 0, 0, 8, 3, 2**16, 2**16, 1), "IDX_SIZE|UNPACKED_SIZE", str(2**32)),
    ],
)
def test_a_file_that_is_not_what_it_must_be_is_refused(tmp_path, content, code, words, pack):
    path = put(tmp_path, pack(content))
    if not code:  # a size of zero makes even this an honest file
        assert read_idx(path, dims=3).shape == (2**31, 2, 0)
        return
    with pytest.raises(DataError, match=words) as caught:
        read_idx(path, dims=3)
    assert caught.value.code in code.split("|")
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("length", [2, 5, 12, 25, -9, -4, -1])
def test_a_gzip_cut_short_is_one_error(tmp_path, length):
    path = put(tmp_path, gzip.compress(idx(IMAGES))[:length])
    with pytest.raises(DataError, match="again") as caught:
        read_idx(path, dims=3)
    assert caught.value.code == "GZIP_CORRUPT"


@pytest.mark.parametrize("junk", [b"junk", b"<html>"])
def test_junk_after_the_end_of_a_gzip_is_refused(tmp_path, junk):
    path = put(tmp_path, gzip.compress(idx(IMAGES)) + junk)
    with pytest.raises(DataError) as caught:
        read_idx(path, dims=3)
    assert caught.value.code == "GZIP_CORRUPT"


def test_every_flipped_bit_of_a_gzip_is_noticed_or_harmless(tmp_path):
    packed = gzip.compress(idx(IMAGES), mtime=0)
    harmless = set()
    for position, bit in itertools.product(range(len(packed)), range(8)):
        damaged = bytearray(packed)
        damaged[position] ^= 1 << bit
        path = put(tmp_path, bytes(damaged))
        with contextlib.suppress(DataError):
            assert np.array_equal(read_idx(path, dims=3), IMAGES)
            harmless.add(position)
    # Flags, time and system in the header, and what fills up the last byte before the checksum.
    assert harmless <= {*range(3, 10), len(packed) - 9}


def bomb(size):
    """A gzip whose header of IDX states ``size`` zero bytes, and that holds them."""
    packer = zlib.compressobj(9, wbits=31)
    parts = [packer.compress(struct.pack(">4BI", 0, 0, 8, 1, size))]
    parts += [packer.compress(bytes(2**20)) for _ in range(size >> 20)]
    return b"".join([*parts, packer.flush()])


def test_a_bomb_is_refused_by_its_header(tmp_path):
    path = put(tmp_path, bomb(2**27))
    assert path.stat().st_size < 2**27 / 200
    with pytest.raises(
        DataError, match=f"unpack to at least {2**27} bytes, more than {2**26}"
    ) as caught:
        read_idx(path, dims=1)
    assert caught.value.code == "UNPACKED_SIZE"


def test_no_more_is_unpacked_than_the_header_states(tmp_path):
    packed = bomb(2**27)
    # The same stream, but with a header that states a single byte.
    small = gzip.compress(struct.pack(">4BI", 0, 0, 8, 1, 1)) + packed
    with pytest.raises(DataError, match="= 1 bytes, and more follow"):
        read_idx(put(tmp_path, small), dims=1)


@pytest.mark.parametrize("kind", ["missing", "folder", "pipe"])
def test_what_is_no_file_is_not_opened(tmp_path, kind):
    path = tmp_path / "file"
    if kind == "folder":
        path.mkdir()
    if kind == "pipe":
        os.mkfifo(path)
    with pytest.raises(DataError, match="file: ") as caught:
        read_idx(path, dims=3)
    assert caught.value.code == "CANNOT_READ"


def test_an_empty_file_is_called_empty(tmp_path):
    with pytest.raises(DataError) as caught:
        read_idx(put(tmp_path, b""), dims=3)
    assert caught.value.code == "FILE_EMPTY"


@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=64), start=st.sampled_from([b"", b"\0\0\x08\x01", b"\x1f\x8b"]))
def test_any_bytes_make_an_array_or_an_error_of_ours(tmp_path_factory, content, start):
    path = put(tmp_path_factory.getbasetemp(), start + content, "fuzz")
    try:
        assert read_idx(path, dims=1).nbytes == len(content) - 4
    except DataError as error:
        assert "\n" not in str(error)  # noqa: PT017


def test_a_pair_is_images_and_labels(tmp_path):
    images = put(tmp_path, idx(IMAGES), "images")
    labels = put(tmp_path, gzip.compress(idx(np.array([7, 2], np.uint8))), "labels")
    pixels, y = read_idx_pair(images, labels)
    assert pixels.shape == (2, 3, 4)
    assert y.tolist() == [7, 2]


def test_files_that_do_not_count_alike_are_both_named(tmp_path):
    images = put(tmp_path, idx(IMAGES), "images")
    labels = put(tmp_path, idx(np.zeros(3, np.uint8)), "labels")
    with pytest.raises(DataError, match=r"images has 2 images and .*labels 3 labels") as caught:
        read_idx_pair(images, labels)
    assert caught.value.code == "IDX_COUNT"


def test_labels_in_the_place_of_images_are_named(tmp_path):
    labels = put(tmp_path, idx(np.zeros(3, np.uint8)), "labels")
    with pytest.raises(DataError, match=r"labels is not .*\(1 dimension\)"):
        read_idx_pair(labels, labels)
