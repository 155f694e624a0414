import gzip
import hashlib

import numpy as np
import pytest
import torch

from vgae.data.catalog import catalogue
from vgae.data.files import write_npz
from vgae.data.named_images import is_images, load_images
from vgae.errors import DataError, UsageError

MNIST_FILES = catalogue()["mnist"].files


@pytest.fixture(scope="module")
def digits():
    return load_images("digits")


@pytest.fixture(scope="session")
def mnist_home(data_home):
    """Folder with the real files of MNIST, or a skip that says why."""
    if not (data_home / "mnist").is_dir():
        pytest.skip("VGAE_DATA does not name a folder with mnist/")
    return data_home


@pytest.fixture(scope="module")
def mnist(mnist_home):
    return load_images("mnist")


def parts(images):
    return {"train": images.train, "val": images.val, "test": images.test}


@pytest.mark.parametrize("name", ["digits", "mnist"])
def test_the_sizes_are_those_of_the_catalogue(name, request):
    images, counts = request.getfixturevalue(name), catalogue()[name].counts
    assert images.name == name
    assert {part: len(pixels) for part, pixels in parts(images).items()} == {
        part: counts[part] for part in ("train", "val", "test")
    }
    assert counts["images"] == sum(map(len, parts(images).values()))
    assert images.shape == (counts["channels"], counts["height"], counts["width"])
    assert images.y_train.unique().tolist() == list(range(counts["classes"]))


@pytest.mark.parametrize("name", ["digits", "mnist"])
def test_the_sizes_are_those_of_the_docstring(name):
    from vgae.data import named_images

    row = next(line for line in named_images.__doc__.splitlines() if line.startswith(name))
    numbers = [int(word.replace(",", "")) for word in row.split()[1:4]]
    counts = catalogue()[name].counts
    assert numbers == [counts["train"], counts["val"], counts["test"]]


def test_digits_are_those_of_scikit_learn_each_once(digits):
    from sklearn.datasets import load_digits

    source = load_digits()
    pixels = torch.cat([*parts(digits).values()]).flatten(1) * 16
    labels = torch.cat([digits.y_train, digits.y_val, digits.y_test])
    found = np.column_stack([pixels.numpy(), labels.numpy()])
    known = np.column_stack([source.data, source.target])
    assert np.array_equal(np.unique(found, axis=0), np.unique(known, axis=0))
    assert len(found) == len(known)


def test_each_part_of_digits_has_its_share_of_each_class(digits):
    labels = {"train": digits.y_train, "val": digits.y_val, "test": digits.y_test}
    total = sum(y.bincount() for y in labels.values())
    for part, share in (("train", 0.7), ("val", 0.1), ("test", 0.2)):
        assert (labels[part].bincount() - share * total).abs().max() <= 1


def test_digits_are_split_alike_whatever_the_seed(digits):
    assert load_images("digits", seed=5).fingerprint == digits.fingerprint
    assert digits.fingerprint == "ffbbf1a70a29777d6c55023903f997fa57e110a77688558dd8036213697059c6"


def test_digits_need_nothing_but_the_packages(monkeypatch, tmp_path):
    monkeypatch.setenv("VGAE_DATA", str(tmp_path))
    monkeypatch.setenv("VGAE_OFFLINE", "1")
    assert len(load_images("Digits").train) == 1258


def test_mnist_has_the_labels_that_everybody_knows(mnist):
    assert mnist.y_train[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert mnist.y_test[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]
    assert mnist.y_test.bincount().tolist() == [
        *(980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009),
    ]


def test_mnist_has_the_mean_and_deviation_that_everybody_normalises_by(mnist):
    """0.1307 and 0.3081, of the 60,000 images that are training and validation images here."""
    pixels = torch.cat([mnist.train, mnist.val]).double()
    assert pixels.mean().item() == pytest.approx(0.1307, abs=5e-5)
    assert pixels.std().item() == pytest.approx(0.3081, abs=5e-5)


def test_the_validation_images_of_mnist_are_the_last_ones_of_its_training_file(mnist, mnist_home):
    content = gzip.decompress((mnist_home / "mnist/train-images-idx3-ubyte.gz").read_bytes())
    last = np.frombuffer(content[-784:], np.uint8)
    first = np.frombuffer(content[16 : 16 + 784], np.uint8)
    assert (mnist.val[-1].flatten() * 255).round().tolist() == last.tolist()
    assert (mnist.train[0].flatten() * 255).round().tolist() == first.tolist()


def test_without_its_files_mnist_says_what_to_put_where(monkeypatch, tmp_path):
    monkeypatch.setenv("VGAE_DATA", str(tmp_path))
    monkeypatch.setenv("VGAE_OFFLINE", "1")
    with pytest.raises(DataError) as caught:
        load_images("mnist")
    first, *rest = str(caught.value).splitlines()
    assert caught.value.code == "OFFLINE"
    assert f"put the files below into {tmp_path / 'mnist'}" in first
    assert [line.split()[0] for line in rest] == list(MNIST_FILES)
    assert all(".gz  (compressed or not; size and sha256 uncompressed)" in line for line in rest)


def test_the_drawn_pixels_depend_on_the_seed(digits):
    first, again, other = (load_images("digits", binarize="dynamic", seed=s) for s in (1, 1, 2))
    assert torch.equal(first.test, again.test)
    assert not torch.equal(first.test, other.test)
    assert torch.equal(first.train, digits.train)
    assert torch.equal(first.test, digits.binarised("dynamic", 1).test)


@pytest.mark.parametrize(
    ("source", "options", "error", "words"),
    [
        ("digts", {}, DataError, "Did you mean digits"),
        ("stdlib", {}, UsageError, "stdlib is a graph: use load_dataset"),
        ("digits", {"binarize": "twice"}, UsageError, "binarize must be"),
        ("nowhere.npz", {}, DataError, "nowhere.npz: No such file"),
        ("no/where", {}, DataError, "no/where: No such file"),
    ],
)
def test_what_cannot_be_loaded_is_refused(source, options, error, words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(error, match=words):
        load_images(source, **options)


def test_a_path_is_read_with_the_seed_for_its_split(tmp_path):
    path = tmp_path / "noise.npy"
    np.save(path, np.random.default_rng(0).random((40, 3, 3)))
    first, again, other = (load_images(str(path), seed=seed) for seed in (1, 1, 2))
    assert first.name == "noise"
    assert first.fingerprint == again.fingerprint != other.fingerprint
    assert set(load_images(str(path), binarize="static").val.unique().tolist()) <= {0, 1}


def test_a_folder_of_a_plain_name_is_found(tmp_path, monkeypatch):
    from PIL import Image

    monkeypatch.chdir(tmp_path)
    (tmp_path / "faces").mkdir()
    Image.fromarray(np.zeros((4, 4), np.uint8)).save(tmp_path / "faces" / "a.png")
    assert is_images("faces")
    assert load_images("faces").name == "faces"


def test_images_are_told_from_graphs(tmp_path, two_cliques):
    write_npz(two_cliques, tmp_path / "graph.npz")
    np.savez(tmp_path / "images.npz", images=np.zeros((3, 2, 2)))
    told = {
        source: is_images(source)
        for source in (
            *("digits", "MNIST", str(tmp_path), "nowhere.npy", str(tmp_path / "images.npz")),
            *("stdlib", "cora", "corra", "nowhere.npz", str(tmp_path / "graph.npz")),
        )
    }
    assert list(told.values()) == [True] * 5 + [False] * 5


def test_the_catalogue_has_the_size_and_sha256_of_what_the_files_hold(mnist_home):
    for name, info in MNIST_FILES.items():
        content = gzip.decompress((mnist_home / "mnist" / f"{name}.gz").read_bytes())
        assert (len(content), hashlib.sha256(content).hexdigest()) == (info.bytes, info.sha256)
