import os
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image

from vgae.data.image_files import holds_images, read_images
from vgae.errors import DataError, UsageError

GREY = np.random.default_rng(0).integers(0, 256, (20, 4, 5), dtype=np.uint8)
COLOUR = np.random.default_rng(1).integers(0, 256, (4, 6, 7, 3), dtype=np.uint8)


def save_pictures(folder, arrays, suffix=".png"):
    folder.mkdir(parents=True, exist_ok=True)
    for number, array in enumerate(arrays):
        Image.fromarray(array).save(folder / f"{number:03}{suffix}", quality=95)
    return folder


def as_bytes(pixels):
    return (pixels * 255).round().to(int).numpy()


@pytest.mark.parametrize("array", [GREY, GREY / np.float64(255), GREY[:, None], COLOUR])
def test_a_npy_file_holds_training_images(tmp_path, array):
    path = tmp_path / "noise.npy"
    np.save(path, array)
    images = read_images(path)
    assert images.name == "noise"
    assert len(images.train) + len(images.val) + len(images.test) == len(array)


def test_an_array_in_columns_is_read_alike(tmp_path):
    np.save(tmp_path / "c.npy", GREY)
    np.save(tmp_path / "f.npy", np.asfortranarray(GREY))
    fingerprints = {read_images(tmp_path / name).fingerprint for name in ("c.npy", "f.npy")}
    assert len(fingerprints) == 1


def test_the_seed_is_that_of_the_split(tmp_path):
    np.save(tmp_path / "noise.npy", GREY)
    first, again, other = (read_images(tmp_path / "noise.npy", seed=s) for s in (1, 1, 2))
    assert first.fingerprint == again.fingerprint != other.fingerprint


def test_a_npz_file_holds_images_and_labels(tmp_path):
    np.savez(tmp_path / "a.npz", images=GREY, y=np.arange(20))
    images = read_images(tmp_path / "a.npz")
    for pixels, y in ((images.train, images.y_train), (images.test, images.y_test)):
        assert np.array_equal(as_bytes(pixels[:, 0]), GREY[y])


def test_a_npz_file_holds_parts(tmp_path):
    np.savez_compressed(
        tmp_path / "a.npz", train=GREY, val=GREY[:3], test=GREY[:2], y_test=np.array([4, 5])
    )
    images = read_images(tmp_path / "a.npz")
    assert np.array_equal(as_bytes(images.train[:, 0]), GREY)
    assert (len(images.val), images.y_train, images.y_test.tolist()) == (3, None, [4, 5])


@pytest.mark.parametrize(
    "arrays",
    [
        {"x_train": GREY, "y_train": GREY[:, 0, 0]},
        {"train": GREY, "tset": GREY},
        {"images": GREY, "train": GREY},
        {"images": GREY, "y_train": GREY[:, 0, 0]},
        {},
    ],
)
def test_arrays_of_other_names_are_listed(tmp_path, arrays):
    np.savez(tmp_path / "a.npz", **arrays)
    found = ", ".join(sorted(arrays)) or "nothing"
    with pytest.raises(DataError, match=rf"a\.npz: it must hold .*; found {found}\.") as caught:
        read_images(tmp_path / "a.npz")
    assert caught.value.code == "NPZ_KEYS"


class Payload:
    def __reduce__(self):
        return (os.system, ("touch ran",))


@pytest.mark.parametrize("suffix", [".npy", ".npz"])
def test_nothing_is_unpickled(tmp_path, monkeypatch, suffix):
    monkeypatch.chdir(tmp_path)
    array = np.array([Payload()] * 20, dtype=object)
    if suffix == ".npy":
        np.save("bad.npy", array, allow_pickle=True)
    else:
        np.savez("bad.npz", train=array)
    with pytest.raises(DataError, match="pickled objects") as caught:
        read_images(f"bad{suffix}")
    assert caught.value.code == "PICKLE_REFUSED"
    assert not (tmp_path / "ran").exists()


def npy_with(shape, tmp_path):
    """A npy file of 400 bytes of numbers that states another shape."""
    np.save(tmp_path / "a.npy", GREY)
    content = (tmp_path / "a.npy").read_bytes()
    old = b"(20, 4, 5), }"
    new = repr(shape).encode() + b", }"
    assert old in content
    return content.replace(old.ljust(len(new)), new.ljust(len(old)))


@pytest.mark.parametrize("shape", [(2**50, 4, 5), (2**32, 2**32, 1), (21, 4, 5), (19, 4, 5)])
def test_a_stated_shape_is_held_against_the_length_of_the_file(tmp_path, shape):
    (tmp_path / "bad.npy").write_bytes(npy_with(shape, tmp_path))
    with pytest.raises(DataError, match=r"bad\.npy: it states \d+ bytes .* has 400") as caught:
        read_images(tmp_path / "bad.npy")
    assert caught.value.code == "NPY_CORRUPT"


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("a.npy", b"", "FILE_EMPTY"),
        ("a.npy", b"no array at all", "NPY_CORRUPT"),
        ("a.npy", b"\x93NUMPY\x01\x00\x05\x00{'a':", "NPY_CORRUPT"),
        ("a.npz", b"", "FILE_EMPTY"),
        ("a.npz", b"no archive", "NPZ_CORRUPT"),
        ("a.npz", b"PK\x03\x04 cut short", "NPZ_CORRUPT"),
        ("a.csv", b"1,2,3", "FILE_FORMAT"),
    ],
)
def test_a_damaged_or_foreign_file_is_one_line_with_its_name(tmp_path, name, content, code):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=name) as caught:
        read_images(tmp_path / name)
    assert caught.value.code == code
    assert str(caught.value).count(str(tmp_path)) == 1
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["nowhere.npy", "nowhere.npz", "nowhere"])
def test_a_file_that_is_not_there_is_said_to_be_so(tmp_path, name):
    with pytest.raises(DataError, match=f"{name}: No such file") as caught:
        read_images(tmp_path / name)
    assert caught.value.code == "CANNOT_READ"


def test_a_pipe_is_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.npy")
    with pytest.raises(DataError, match="it is not a file"):
        read_images(tmp_path / "pipe.npy")


def test_an_archive_that_unpacks_to_far_more_than_itself_is_refused(tmp_path):
    path = tmp_path / "bomb.npz"
    np.savez_compressed(path, train=np.zeros((280, 1000, 1000), np.uint8))
    with pytest.raises(DataError, match="would unpack to at least 280000") as caught:
        read_images(path)
    assert caught.value.code == "UNPACKED_SIZE"


def test_faults_of_the_pixels_bear_the_name_of_the_file(tmp_path):
    np.save(tmp_path / "a.npy", np.full((5, 4, 4), 2.0))
    with pytest.raises(DataError, match=r"a\.npy: train must lie in \[0, 1\]") as caught:
        read_images(tmp_path / "a.npy")
    assert caught.value.code == "IMAGE_RANGE"


@pytest.mark.parametrize("arrays", [GREY, COLOUR, COLOUR[:, :3], GREY[:, :, :3]])
def test_a_folder_of_pictures_holds_their_pixels_in_the_order_of_names(tmp_path, arrays):
    save_pictures(tmp_path / "faces", arrays)
    (tmp_path / "faces" / "README.md").write_text("not a picture")
    (tmp_path / "faces" / ".hidden.png").write_text("not a picture either")
    images = read_images(tmp_path / "faces")
    assert images.name == "faces"
    assert images.y_train is None
    expected = arrays[:, None] if arrays.ndim == 3 else np.moveaxis(arrays, 3, 1)
    assert images.shape == expected.shape[1:]
    found = [as_bytes(part) for part in (images.train, images.val, images.test)]
    # Each part is in the order of names; which picture is in which part is up to the seed.
    assert sorted(map(bytes, np.concatenate(found))) == sorted(
        map(bytes, expected.astype(found[0].dtype))
    )


def test_a_picture_of_black_and_white_has_zeros_and_ones(tmp_path):
    save_pictures(tmp_path, GREY > 127)
    assert set(read_images(tmp_path).train.unique().tolist()) == {0, 1}


@pytest.mark.parametrize("suffix", [".jpg", ".JPEG"])
def test_jpeg_files_are_read(tmp_path, suffix):
    flat = np.full((1, 16, 16), 100, np.uint8)
    save_pictures(tmp_path, flat, suffix)
    assert np.abs(as_bytes(read_images(tmp_path).train) - 100).max() <= 2


def test_folders_in_a_folder_are_labels(tmp_path):
    (tmp_path / "empty").mkdir()
    for name, arrays in (("dog", GREY[:8]), ("cat", GREY[8:]), (".git", GREY[:2])):
        save_pictures(tmp_path / name, arrays)
    images = read_images(tmp_path)
    dogs = {bytes(array) for array in GREY[:8]}
    for pixels, y in ((images.train, images.y_train), (images.val, images.y_val)):
        pictures = as_bytes(pixels[:, 0]).astype(np.uint8)
        # Label 0 is cat, 1 is dog: the order of the names.
        assert [int(bytes(picture) in dogs) for picture in pictures] == y.tolist()


def test_pictures_beside_folders_of_pictures_are_ambiguous(tmp_path):
    save_pictures(tmp_path, GREY[:2])
    save_pictures(tmp_path / "cat", GREY[:2])
    with pytest.raises(DataError, match="such as cat") as caught:
        read_images(tmp_path)
    assert caught.value.code == "FOLDER_LAYOUT"


def test_folders_named_after_parts_are_not_taken_for_labels(tmp_path):
    save_pictures(tmp_path / "train", GREY[:2])
    save_pictures(tmp_path / "test", GREY[:2])
    with pytest.raises(DataError, match="labels, not parts") as caught:
        read_images(tmp_path)
    assert caught.value.code == "FOLDER_LAYOUT"


def test_a_folder_without_pictures_is_refused(tmp_path):
    with pytest.raises(DataError, match=r"no pictures \(.png") as caught:
        read_images(tmp_path)
    assert caught.value.code == "NO_IMAGES"


@pytest.mark.parametrize(
    ("other", "words"),
    [
        (GREY[0, :, :4], r"000\.png is 5 x 4 grey, .*001\.png is 4 x 4 grey"),
        (np.stack([GREY[0]] * 3, axis=2), r"000\.png is 5 x 4 grey, .*001\.png is 5 x 4 RGB"),
        (GREY[0] > 9, r"001\.png is 5 x 4 1-bit"),
    ],
)
def test_pictures_of_another_size_or_mode_are_both_named(tmp_path, other, words):
    save_pictures(tmp_path, [GREY[0], other])
    with pytest.raises(DataError, match=words) as caught:
        read_images(tmp_path)
    assert caught.value.code == "IMAGE_SHAPE"


@pytest.mark.parametrize(
    ("mode", "array"),
    [("RGBA", np.zeros((4, 5, 4), np.uint8)), ("I;16", np.zeros((4, 5), np.uint16))],
)
def test_a_picture_of_a_mode_that_would_lose_something_is_refused(tmp_path, mode, array):
    save_pictures(tmp_path, [array])
    with pytest.raises(DataError, match=f"000.png is of mode {mode}; convert it") as caught:
        read_images(tmp_path)
    assert caught.value.code == "PICTURE_MODE"


@pytest.mark.parametrize("damage", [lambda b: b[:60], lambda b: b"GIF89a" + b, lambda b: b"junk"])
def test_a_damaged_picture_is_named(tmp_path, damage):
    save_pictures(tmp_path, GREY[:2])
    path = tmp_path / "001.png"
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(DataError, match=r"001\.png cannot be read as a picture") as caught:
        read_images(tmp_path)
    assert caught.value.code == "PICTURE_CORRUPT"


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
def test_a_picture_that_unpacks_to_far_more_than_itself_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 15)
    save_pictures(tmp_path, GREY[:1])  # of 20 pixels
    with pytest.raises(DataError, match="decompression bomb") as caught:
        read_images(tmp_path)
    assert caught.value.code == "PICTURE_CORRUPT"


@pytest.mark.row("R18")
def test_without_pillow_it_is_said_how_to_get_it(tmp_path, monkeypatch):
    save_pictures(tmp_path, GREY[:1])
    monkeypatch.setitem(sys.modules, "PIL.Image", None)
    with pytest.raises(UsageError, match=r"pip install 'vgae\[images\]'") as caught:
        read_images(tmp_path)
    assert caught.value.code == "MISSING_PACKAGE"


def test_files_of_images_are_told_from_others_without_being_read(tmp_path):
    np.savez(tmp_path / "images.npz", images=GREY)
    np.savez(tmp_path / "parts.npz", train=GREY, test=GREY)
    np.savez(tmp_path / "graph.npz", format="vgae-graph-1", num_nodes=2, edges=[[0], [1]])
    (tmp_path / "broken.npz").write_bytes(b"PK\x03\x04 cut short")
    # The list of arrays is at the end of the archive; the arrays themselves may be anything.
    with zipfile.ZipFile(tmp_path / "hollow.npz", "w") as archive:
        archive.writestr("train.npy", b"no array")
    (tmp_path / "table.csv").write_text("1,2")
    os.mkfifo(tmp_path / "pipe.npz")
    told = {
        name: holds_images(tmp_path / name)
        for name in (
            *("images.npz", "parts.npz", "hollow.npz", "nowhere.npy", "."),
            *("graph.npz", "broken.npz", "pipe.npz", "table.csv", "nowhere.npz", "nowhere"),
        )
    }
    assert [name for name, images in told.items() if images] == [
        *("images.npz", "parts.npz", "hollow.npz", "nowhere.npy", "."),
    ]
