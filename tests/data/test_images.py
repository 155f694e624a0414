import numpy as np
import pytest
import torch

from vgae.data.images import Images, binarised
from vgae.errors import DataError, UsageError
from vgae.runtime.streams import stream


def grey(n, h=4, w=5, seed=0):
    return np.random.default_rng(seed).random((n, h, w), dtype=np.float32)


def test_bytes_are_divided_by_255():
    array = np.arange(256, dtype=np.uint8).reshape(16, 4, 4)
    images = Images.from_arrays(array, val=array[:0], test=array[:0])
    expected = torch.arange(256, dtype=torch.float64) / 255
    torch.testing.assert_close(images.train.double().flatten(), expected, rtol=1e-7, atol=0)
    assert images.train.dtype == torch.float32


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", ">f4", "bool"])
def test_floats_and_booleans_are_taken_as_they_are(dtype):
    array = (np.arange(40).reshape(10, 2, 2) % 2).astype(dtype)
    images = Images.from_arrays(array, val=array, test=array)
    assert images.train.dtype == torch.float32
    assert images.train.flatten().tolist() == array.flatten().tolist()


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.bfloat16])
def test_tensors_are_taken_like_arrays(dtype):
    tensor = torch.ones(10, 1, 2, 3, dtype=dtype)
    assert Images.from_arrays(tensor).train.unique().tolist() == [1]


@pytest.mark.parametrize(
    ("given", "shape"),
    [
        ((10, 4, 5), (1, 4, 5)),
        ((10, 1, 4, 5), (1, 4, 5)),
        ((10, 3, 4, 5), (3, 4, 5)),
        ((10, 4, 5, 1), (1, 4, 5)),
        ((10, 4, 5, 3), (3, 4, 5)),
        ((10, 3, 5, 3), (3, 5, 3)),
        ((10, 1, 1, 1), (1, 1, 1)),
        ((10, 2, 4, 5), (2, 4, 5)),
    ],
)
def test_every_accepted_shape_becomes_images_with_colours_first(given, shape):
    images = Images.from_arrays(np.zeros(given, np.uint8))
    assert images.shape == shape
    assert images.num_pixels == np.prod(shape)


def test_colours_that_come_last_are_moved_not_reshaped():
    array = grey(10 * 3).reshape(10, 4, 5, 3)
    images = Images.from_arrays(array, val=array[:0], test=array[:0])
    for c in range(3):
        assert np.array_equal(images.train[:, c].numpy(), array[..., c])


@pytest.mark.parametrize(
    ("train", "code", "words"),
    [
        (np.zeros(5), "IMAGE_SHAPE", r"got \(5,\)\.$"),
        (np.zeros((5, 784)), "IMAGE_SHAPE", r"use train\.reshape\(-1, 28, 28\)\."),
        (np.zeros((5, 12)), "IMAGE_SHAPE", r"use train\.reshape\(-1, h, w\)\."),
        (np.zeros((5, 1, 1, 4, 4)), "IMAGE_SHAPE", r"\(n, h, w\) or \(n, c, h, w\)"),
        (np.zeros((5, 0, 4)), "IMAGE_SHAPE", "at least one pixel"),
        (np.zeros((5, 8, 8, 4)), "IMAGE_SHAPE", r"alpha, use \[\.\.\., :3\]"),
        ([[[0.0, 0.0]], [[0.0]]], "IMAGE_SHAPE", "equally long"),
        (None, "IMAGE_SHAPE", r"got \(\)"),
        (np.zeros((0, 4, 4)), "NO_IMAGES", "at least one"),
        (np.full((5, 4, 4), 255), "IMAGE_DTYPE", "int64; pass train / 255 if 255 is white"),
        (np.full((5, 4, 4), 16), "IMAGE_DTYPE", "int64; pass train / 16 if 16 is white"),
        (np.full((5, 4, 4), 15.0), "IMAGE_RANGE", "from 15 to 15; pass train / 16 if"),
        (np.full((5, 4, 4), 4e3), "IMAGE_RANGE", "pass train / 4000"),
        (np.linspace(-1, 1, 80).reshape(5, 4, 4), "IMAGE_RANGE", r"\(train \+ 1\) / 2"),
        (np.linspace(-2, 3, 80).reshape(5, 4, 4), "IMAGE_RANGE", r"train\.min\(\)\) / 5"),
        (np.full((5, 4, 4), 16, np.uint8), "IMAGE_RANGE", "byte of train is 16, .* train / 16"),
        (np.full((5, 4, 4), "a"), "IMAGE_DTYPE", "<U1"),
        (np.full((5, 4, 4), None), "IMAGE_DTYPE", "object"),
        (np.zeros((5, 4, 4), np.complex64), "IMAGE_DTYPE", "complex64"),
        (np.full((5, 4, 4), 255.0), "IMAGE_RANGE", "from 255 to 255; pass train / 255"),
        (np.full((5, 4, 4), -0.1), "IMAGE_RANGE", r"from -0\.1 to -0\.1"),
        (np.full((5, 4, 4), 1e300), "IMAGE_NONFINITE", "got 80 other values"),
    ],
)
def test_pixels_that_are_none_are_refused(train, code, words):
    with pytest.raises(DataError, match=words) as caught:
        Images.from_arrays(train)
    assert caught.value.code == code


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("part", ["train", "val", "test"])
def test_a_pixel_that_is_not_finite_is_named_by_its_place(part, value):
    parts = {name: np.zeros((6, 3, 4, 5)) for name in ("train", "val", "test")}
    parts[part][4, 2, 1, 3] = value
    with pytest.raises(
        DataError, match=rf"{part} must be finite.*image 4, colour 2, row 1, column 3"
    ) as caught:
        Images.from_arrays(**parts)
    assert caught.value.code == "IMAGE_NONFINITE"


@pytest.mark.parametrize("part", ["val", "test"])
def test_parts_must_be_of_one_size(part):
    with pytest.raises(DataError, match=rf"{part} must be like those of train, 1 x 4 x 5, got"):
        Images.from_arrays(grey(9), **{part: grey(9, h=6)})


@pytest.mark.parametrize(
    ("labels", "words"),
    [
        ({"y_train": [0] * 8}, r"of shape \(9,\), one per image, got shape \(8,"),
        ({"y_train": [0.0] * 9}, "float64"),
        ({"y_train": [True] * 9}, "bool"),
        ({"y_train": [[0]] * 9}, r"got shape \(9, 1\)"),
        ({"y_train": [0] * 5 + [-2] * 4}, "got -2 at image 5"),
        ({"y_train": np.full(9, 2**63, np.uint64)}, "at image 0"),
        ({"y_val": [0]}, "y_val is given without val"),
        ({"y_test": [0]}, "y_test is given without test"),
    ],
)
def test_labels_that_do_not_fit_are_refused(labels, words):
    with pytest.raises(DataError, match=words) as caught:
        Images.from_arrays(grey(9), **labels)
    assert caught.value.code == "LABELS"


def test_the_images_keep_a_copy_of_what_was_given():
    array, labels = grey(10), np.zeros(10, np.int64)
    images = Images.from_arrays(array, val=array, test=array, y_train=labels)
    before = images.train.clone()
    array[:], labels[:] = 0, 7
    assert torch.equal(images.train, before)
    assert images.y_train.tolist() == [0] * 10


@pytest.mark.parametrize(("num", "sizes"), [(100, (80, 10, 10)), (29, (25, 2, 2)), (9, (9, 0, 0))])
def test_a_tenth_each_is_split_off_and_nothing_is_lost(num, sizes):
    # The value of every pixel of an image is its number, and so is its label.
    array = np.broadcast_to(np.arange(num)[:, None, None] / 255, (num, 2, 2))
    images = Images.from_arrays(array, y_train=np.arange(num))
    parts = (images.train, images.val, images.test)
    labels = (images.y_train, images.y_val, images.y_test)
    assert tuple(len(part) for part in parts) == sizes
    assert torch.cat(labels).sort().values.tolist() == list(range(num))
    for part, y in zip(parts, labels, strict=True):
        assert (part[:, 0, 0, 0] * 255).round().long().tolist() == y.tolist()
        assert y.tolist() == sorted(y.tolist())


def test_bytes_of_0_and_1_are_black_and_white(caplog):
    """They were once divided by 255: all images were black, without a word."""
    bits = (grey(20) > 0.5).astype(np.uint8)
    images = Images.from_arrays(bits, test=1 - bits)
    assert np.array_equal(images.test[:, 0].numpy(), 1 - bits)
    assert images.train.unique().tolist() == [0, 1]
    assert "no byte of the images is above 1" in caplog.text
    with pytest.raises(DataError, match="largest byte of test is 1, while 255 is white"):
        Images.from_arrays(255 * bits, test=bits)


def test_dark_images_are_said_to_be_dark(caplog):
    Images.from_arrays(np.zeros((20, 4, 4), np.uint8))
    Images.from_arrays(grey(20))
    assert not caplog.records
    Images.from_arrays(grey(20) / 255)
    assert "the brightest pixel of train is 0.00" in caplog.text
    Images.from_arrays(np.full((20, 4, 4), 20, np.uint8))
    assert "if it is white, pass train / 20" in caplog.text


def test_only_what_is_not_given_is_split_off():
    images = Images.from_arrays(grey(50), test=grey(7, seed=1))
    assert [len(part) for part in (images.train, images.val, images.test)] == [45, 5, 7]
    given = Images.from_arrays(grey(50), val=grey(3), test=grey(7))
    assert np.array_equal(given.train[:, 0].numpy(), grey(50))


def test_the_split_depends_on_the_seed_alone():
    first, again, other = (
        Images.from_arrays(grey(100), y_train=np.arange(100), seed=seed) for seed in (1, 1, 2)
    )
    assert torch.equal(first.y_test, again.y_test)
    assert not torch.equal(first.y_test, other.y_test)
    with pytest.raises(UsageError, match="seed"):
        Images.from_arrays(grey(100), seed=-1)


def test_the_global_generator_is_left_alone():
    state = torch.random.get_rng_state()
    Images.from_arrays(grey(100)).binarised("static", 0)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_the_fingerprint_tells_contents_apart_and_nothing_else():
    base = {"train": grey(9), "val": grey(3), "test": grey(3), "y_train": [0] * 9}
    fingerprint = Images.from_arrays(**base).fingerprint
    assert len(fingerprint) == 64
    assert Images.from_arrays(**base, name="other").fingerprint == fingerprint
    changed = grey(9)
    changed[8, 3, 4] = np.nextafter(changed[8, 3, 4], np.float32(0))
    others = [
        {"train": changed},
        {"val": grey(3, seed=1)},
        {"val": grey(4), "test": grey(2)},
        {"y_train": [0] * 8 + [1]},
        {"y_train": None},
        {"train": grey(9).reshape(9, 5, 4), "val": grey(3, 5, 4), "test": grey(3, 5, 4)},
    ]
    fingerprints = {Images.from_arrays(**{**base, **other}).fingerprint for other in others}
    assert len(fingerprints | {fingerprint}) == 1 + len(others)


def test_the_fingerprint_is_known_for_a_known_set():
    """So that a run of an older version finds its images again."""
    images = Images.from_arrays(np.arange(80, dtype=np.uint8).reshape(20, 2, 2), y_train=[0] * 20)
    assert images.fingerprint == "01b4a3dcb1da1607068fe3720c2f64d3c3f771fc04bbc571c28785e68eb6f79d"


def test_repr_is_short():
    images = Images.from_arrays(grey(20), name="noise")
    assert repr(images) == "Images('noise', 16 + 2 + 2 of 1 x 4 x 5)"


def test_pixels_are_drawn_by_their_grey_value(generator):
    pixels = torch.tensor([0.0, 0.2, 0.5, 0.9, 1.0]).expand(40_000, 5)
    drawn = binarised(pixels, generator)
    assert drawn.dtype == torch.float32
    assert set(drawn.unique().tolist()) == {0, 1}
    mean = drawn.mean(0)
    # Four standard errors of 40,000 draws; the ends must not vary at all.
    for expected, got in zip(pixels[0].tolist(), mean.tolist(), strict=True):
        error = (expected * (1 - expected) / 40_000) ** 0.5
        assert got == pytest.approx(expected, rel=0, abs=4 * error)


def test_the_same_generator_draws_the_same_pixels():
    pixels = torch.from_numpy(grey(10))
    first, again, other = (binarised(pixels, torch.Generator().manual_seed(k)) for k in (1, 1, 2))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


@pytest.mark.gpu
def test_pixels_are_drawn_where_they_are():
    pixels = torch.full((1000,), 0.5, device="cuda")
    drawn = binarised(pixels, torch.Generator("cuda").manual_seed(0))
    assert drawn.device == pixels.device
    assert 400 < drawn.sum() < 600


def test_none_leaves_the_images_as_they_are():
    images = Images.from_arrays(grey(20))
    assert images.binarised("none", 3) is images


def test_static_draws_all_parts_and_dynamic_leaves_the_training_images_grey():
    images = Images.from_arrays(grey(100), y_train=np.arange(100), name="noise")
    static, dynamic = images.binarised("static", 3), images.binarised("dynamic", 3)
    assert torch.equal(dynamic.train, images.train)
    assert set(static.train.unique().tolist()) == {0, 1}
    for part in ("val", "test"):
        assert set(getattr(static, part).unique().tolist()) == {0, 1}
        assert torch.equal(getattr(static, part), getattr(dynamic, part))
        assert torch.equal(getattr(static, f"y_{part}"), getattr(images, f"y_{part}"))
    assert static.name == "noise"
    assert torch.equal(dynamic.val, binarised(images.val, stream(3, "binarize")))
    assert not torch.equal(images.binarised("static", 4).train, static.train)


def test_an_unknown_way_to_draw_is_refused():
    with pytest.raises(
        UsageError, match="must be one of 'none', 'static', 'dynamic', got 'always'"
    ):
        Images.from_arrays(grey(20)).binarised("always", 0)
