"""load_images: images by the name of a data set, or by a path.

======  ======  ======  ======  ==============  =======
name    train   val     test    size            classes
======  ======  ======  ======  ==============  =======
digits  1,258   180     359     8 x 8, grey     10
mnist   50,000  10,000  10,000  28 x 28, grey   10
======  ======  ======  ======  ==============  =======
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch

from vgae.data.catalog import Entry, catalogue, entry, fetch
from vgae.data.idx import read_idx_pair
from vgae.data.image_files import holds_images, read_images
from vgae.data.images import Binarize, Images, check_binarize
from vgae.errors import UsageError
from vgae.runtime.streams import stream

_SPLIT_SEED = 0


def load_images(
    source: str, *, binarize: Binarize = "none", seed: int = 0, progress: bool | None = None
) -> Images:
    """Load a data set of images of the catalogue, or read images from a file or folder.

    ``digits`` comes with scikit-learn; each of its classes is split into 70 % for training, 10 %
    for validation and 20 % for test, always alike. ``mnist`` is looked for in ``$VGAE_DATA``, else
    in the user's cache, and downloaded there if missing; every file is checked against its
    SHA-256. Its last 10,000 training images are for validation.

    Args:
        source: ``"digits"``, ``"mnist"``, or a path as :func:`~vgae.data.image_files.read_images`
            takes it. A name of the catalogue goes before a file of that name.
        binarize: See :meth:`vgae.data.images.Images.binarised`.
        seed: Of what is drawn for ``binarize``, and of the split of a file or folder.
        progress: Whether to show a download on stderr; see :func:`vgae.fit`.

    Raises:
        UsageError: If ``binarize`` is no such word, the seed is out of range, or the data set is
            a graph.
        DataError: If there is no such data set or file, or it is missing or damaged.
    """
    check_binarize(binarize)
    if source.lower() in catalogue() or _may_be_name(source):
        images = _named(entry(source), progress=progress)
    else:
        images = read_images(source, seed=seed)
    return images.binarised(binarize, seed)


def is_images(source: str) -> bool:
    """Tell whether a name or path is one of images, by its name or the list of what it holds.

    A name that nobody knows and a file that is not there are not, so that who opens graphs can say
    so; but a missing ``.npy`` file is.
    """
    known = catalogue().get(source.lower())
    return known.holds_images if known else holds_images(Path(source))


def _may_be_name(source: str) -> bool:
    """Tell what could only be a misspelt name from a path."""
    path = Path(source)
    return not path.suffix and path.name == source and not path.exists()


def _named(known: Entry, *, progress: bool | None) -> Images:
    if not known.holds_images:
        raise UsageError("GRAPH", f"{known.name} is a graph: use load_dataset.")
    if known.kind != "idx":
        return _digits(known)
    return _mnist(known, fetch(known, progress=progress))


def _mnist(known: Entry, files: Mapping[str, Path]) -> Images:
    """Read the four IDX files of MNIST, or of a set published in its form."""
    pixels, labels = read_idx_pair(
        files["train-images-idx3-ubyte"], files["train-labels-idx1-ubyte"]
    )
    test, y_test = read_idx_pair(files["t10k-images-idx3-ubyte"], files["t10k-labels-idx1-ubyte"])
    num = known.counts["train"]
    return Images.from_arrays(
        pixels[:num],
        val=pixels[num:],
        test=test,
        y_train=labels[:num],
        y_val=labels[num:],
        y_test=y_test,
        name=known.name,
    )


def _digits(known: Entry) -> Images:
    from sklearn.datasets import load_digits

    # scikit-learn's types do not say what a Bunch holds.
    digits = load_digits()
    pixels = (digits.images / 16).astype(np.float32)  # pyright: ignore[reportAttributeAccessIssue]
    labels = digits.target.astype(np.int64)  # pyright: ignore[reportAttributeAccessIssue]
    train, val, test = _balanced(labels)
    return Images.from_arrays(
        pixels[train],
        val=pixels[val],
        test=pixels[test],
        y_train=labels[train],
        y_val=labels[val],
        y_test=labels[test],
        name=known.name,
    )


def _balanced(labels: np.ndarray) -> list[np.ndarray]:
    """Return the indices of 70, 10 and 20 % of each class, each list ascending."""
    generator = stream(_SPLIT_SEED, "split")
    order = torch.randperm(len(labels), generator=generator).numpy()
    parts: tuple[list[np.ndarray], ...] = ([], [], [])
    for label in np.unique(labels):
        members = order[labels[order] == label]
        # Rounded to the nearest, so that what is cut off ten classes does not add up.
        cut = np.split(members, [(share * len(members) + 5) // 10 for share in (7, 8)])
        for part, chosen in zip(parts, cut, strict=True):
            part.append(chosen)
    return [np.sort(np.concatenate(part)) for part in parts]
