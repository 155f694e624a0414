"""Loading of images by the name of a data set or by a path.

======  ======  ======  ======  ==============  =======
name    train   val     test    size            classes
======  ======  ======  ======  ==============  =======
digits  1,258   180     359     8 x 8, grey     10
mnist   50,000  10,000  10,000  28 x 28, grey   10
======  ======  ======  ======  ==============  =======
"""

from pathlib import Path

import numpy as np
import torch

from vgae.data.catalog import Entry, catalogue, entry, fetch
from vgae.data.idx import read_idx_pair
from vgae.data.image_files import holds_images, read_images
from vgae.data.images import Binarize, Images
from vgae.errors import UsageError, check_choice
from vgae.runtime.streams import stream

_SPLIT_SEED = 0


def load_images(
    source: str, *, binarize: Binarize = "none", seed: int = 0, progress: bool | None = None
) -> Images:
    """Load images of the catalogue, or read them from a file or folder.

    ``digits`` comes with scikit-learn; a fixed split assigns 70 % of each class to training, 10 %
    to validation and 20 % to test. The files of ``mnist`` are read from ``$VGAE_DATA``, or the
    user's cache, and downloaded there if missing; each is checked against its SHA-256. Its last
    10,000 training images are for validation.

    Args:
        source: ``"digits"``, ``"mnist"``, or a path for
            :func:`~vgae.data.image_files.read_images`. A name goes before a file of that name.
        binarize: As for :meth:`vgae.data.images.Images.binarised`.
        seed: Seed of ``binarize``, and of the split of a file or folder.
        progress: Whether to show a download on stderr; see :func:`vgae.fit`.

    Raises:
        UsageError: If ``binarize`` or the seed is invalid, or the data set is a graph.
        DataError: If the data set or file is unknown, missing or damaged.
    """
    check_choice("binarize", binarize, Binarize)
    path = Path(source)
    # A text without suffix and folder that is not a path can only be a misspelt name.
    is_name = not path.suffix and path.name == source and not path.exists()
    if is_name or source.lower() in catalogue():
        images = _named(entry(source), progress=progress)
    else:
        images = read_images(source, seed=seed)
    return images.binarised(binarize, seed)


def is_images(source: str) -> bool:
    """Return whether a name or path is one of images, without reading them.

    An unknown name or missing file is not, unless it ends in ``.npy``: the readers of graphs
    report it.
    """
    known = catalogue().get(source.lower())
    return known.holds_images if known else holds_images(Path(source))


def _named(known: Entry, *, progress: bool | None) -> Images:
    if not known.holds_images:
        raise UsageError("GRAPH", f"{known.name} is a graph: use load_dataset.")
    if known.kind == "idx":
        parts = _mnist(fetch(known, progress=progress), known.counts["train"])
    else:
        parts = _digits()
    (train, y_train), (val, y_val), (test, y_test) = parts
    return Images.from_arrays(
        train, val=val, test=test, y_train=y_train, y_val=y_val, y_test=y_test, name=known.name
    )


def _mnist(files: dict[str, Path], num_train: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return pixels and labels of each part of MNIST, or of a set in its form."""
    x, y = read_idx_pair(files["train-images-idx3-ubyte"], files["train-labels-idx1-ubyte"])
    test = read_idx_pair(files["t10k-images-idx3-ubyte"], files["t10k-labels-idx1-ubyte"])
    return [(x[:num_train], y[:num_train]), (x[num_train:], y[num_train:]), test]


def _digits() -> list[tuple[np.ndarray, np.ndarray]]:
    """Return pixels and labels of each part of the digits of scikit-learn."""
    from sklearn.datasets import load_digits

    # The types of scikit-learn lack the attributes of a Bunch.
    digits = load_digits()
    pixels = (digits.images / 16).astype(np.float32)  # pyright: ignore[reportAttributeAccessIssue]
    labels = digits.target.astype(np.int64)  # pyright: ignore[reportAttributeAccessIssue]
    return [(pixels[part], labels[part]) for part in _balanced(labels)]


def _balanced(labels: np.ndarray) -> list[np.ndarray]:
    """Return the indices of 70, 10 and 20 % of each class, each list ascending."""
    generator = stream(_SPLIT_SEED, "split")
    order = torch.randperm(len(labels), generator=generator).numpy()
    parts: tuple[list[np.ndarray], ...] = ([], [], [])
    for label in np.unique(labels):
        members = order[labels[order] == label]
        # Rounded to the nearest, so that the errors of ten classes do not add up.
        cut = np.split(members, [(tenths * len(members) + 5) // 10 for tenths in (7, 8)])
        for part, chosen in zip(parts, cut, strict=True):
            part.append(chosen)
    return [np.sort(np.concatenate(part)) for part in parts]
