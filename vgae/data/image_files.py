"""Reading of images from npy and npz files and from folders of pictures."""

import os
import warnings
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vgae.data.array_graphs import may_hold_graph
from vgae.data.graph_folders import is_graph_folder, is_published
from vgae.data.images import Images
from vgae.data.npy import read_npy
from vgae.errors import DataError, printable
from vgae.runtime.npz import read_arrays
from vgae.runtime.reading import brief, file_size, naming
from vgae.runtime.tables import optional_module

PICTURES = (".png", ".jpg", ".jpeg")

_PARTS = ("train", "val", "test")
_KEYS = {*_PARTS, *(f"y_{part}" for part in _PARTS)}
_MODES = ("1", "L", "RGB")


def read_images(path: str | os.PathLike[str], *, seed: int = 0) -> Images:
    """Read images from a file or a folder; nothing is unpickled.

    ========  ====================================================================================
    ``.npy``  pixels, as :meth:`vgae.data.images.Images.from_arrays` takes them for ``train``
    ``.npz``  ``images`` and optionally ``y``; or ``train`` and optionally ``val``, ``test``,
              ``y_train``, ``y_val``, ``y_test``
    folder    pictures (``.png``, ``.jpg``), all grey or all RGB, of one size, in the order of
              their names; or one such folder per label, numbered in the order of their names
    ========  ====================================================================================

    Args:
        path: The file or folder; its name without the suffix becomes that of the images.
        seed: Seed of the split, where validation or test images are absent.

    Raises:
        DataError: ``CANNOT_READ``; ``FILE_EMPTY``; ``FILE_FORMAT`` if it is of another kind;
            ``NPY_CORRUPT``, ``NPZ_CORRUPT``, ``PICTURE_CORRUPT`` if it is damaged; ``NPZ_KEYS``;
            ``PICKLE_REFUSED``; ``UNPACKED_SIZE``; ``NO_IMAGES``, ``FOLDER_LAYOUT``,
            ``PICTURE_MODE`` for a folder; or as :meth:`vgae.data.images.Images.from_arrays`.
        UsageError: ``MISSING_PACKAGE`` for pictures without Pillow.
    """
    path = Path(path)
    with naming(path):
        if path.is_dir():
            arrays = _folder(path)
        elif path.suffix.lower() == ".npy":
            arrays = {"train": read_npy(path)}
        elif path.suffix.lower() == ".npz":
            arrays = _npz(path)
        else:
            file_size(path)
            raise DataError("FILE_FORMAT", "images must be in a folder, a .npy or a .npz file.")
        return Images.from_arrays(**arrays, name=path.resolve().stem, seed=seed)


def holds_images(path: Path) -> bool:
    """Return whether a path is for :func:`read_images`, without reading arrays.

    It is for a folder and a ``.npy`` file, unless they hold graphs, and for a ``.npz`` file with
    an array ``images`` or ``train``.
    """
    if path.is_dir():
        return not is_graph_folder(path) or (not is_published(path) and _has_images(path))
    if path.suffix.lower() == ".npy":
        return not may_hold_graph(path)
    if path.suffix.lower() != ".npz" or not path.is_file():
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return not {"images.npy", "train.npy"}.isdisjoint(archive.namelist())
    # On damaged bytes zipfile raises several kinds; the reader of the file reports them.
    except Exception:
        return False


def _npz(path: Path) -> dict[str, Any]:
    """Return the arguments of ``Images.from_arrays`` in a npz file."""
    file_size(path)
    arrays = read_arrays(path)
    if "images" in arrays and arrays.keys() <= {"images", "y"}:
        return {"train": arrays["images"], "y_train": arrays.get("y")}
    if "train" in arrays and arrays.keys() <= _KEYS:
        return dict(arrays)
    raise DataError(
        "NPZ_KEYS",
        "it must hold images (and y), or train (and val, test, y_train, y_val, y_test), and"
        f" nothing else; found {printable(', '.join(sorted(arrays))) or 'nothing'}.",
    )


def _folder(path: Path) -> dict[str, Any]:
    """Return pixels and labels of a folder of pictures, or of one such folder per label."""
    pictures = _pictures(path)
    folders = [folder for folder in _entries(path) if folder.is_dir()]
    by_label = {folder: found for folder in folders if (found := _pictures(folder))}
    if pictures and by_label:
        raise DataError(
            "FOLDER_LAYOUT",
            f"it has both pictures and folders with pictures, such as {next(iter(by_label)).name};"
            " keep one or the other.",
        )
    if not pictures and not by_label:
        raise DataError("NO_IMAGES", f"it has no pictures ({', '.join(PICTURES)}).")
    if names := sorted({folder.name for folder in folders} & set(_PARTS)):
        raise DataError(
            "FOLDER_LAYOUT",
            f"it has a folder {names[0]}, but folders in it are labels, not parts; pass parts to"
            " Images.from_arrays, or in a npz file.",
        )
    if pictures:
        return {"train": _stack(pictures)}
    groups = list(by_label.values())
    labels = np.repeat(np.arange(len(groups)), list(map(len, groups)))
    return {"train": _stack([picture for group in groups for picture in group]), "y_train": labels}


def _has_images(path: Path) -> bool:
    """Return whether a folder or one in it has pictures, or a file of images."""
    found = _entries(path)
    arrays = (file for file in found if file.suffix.lower() in (".npy", ".npz"))
    folders = (folder for folder in found if folder.is_dir())
    return bool(_pictures(path)) or any(map(holds_images, arrays)) or any(map(_pictures, folders))


def _entries(folder: Path) -> list[Path]:
    """Return the paths in a folder that are not hidden, by name."""
    try:
        return sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    except OSError as error:
        raise DataError("CANNOT_READ", f"{folder}: {error.strerror}.") from None


def _pictures(folder: Path) -> list[Path]:
    paths = [path for path in _entries(folder) if path.suffix.lower() in PICTURES]
    return [path for path in paths if path.is_file()]


def _stack(paths: Sequence[Path]) -> np.ndarray:
    """Return pictures of one size and mode, shape (n, 1, h, w) or (n, 3, h, w)."""
    first = _picture(paths[0])
    stacked = np.empty((len(paths), *first.shape), dtype=first.dtype)
    for number, path in enumerate(paths):
        picture = first if number == 0 else _picture(path)
        if (picture.shape, picture.dtype) != (first.shape, first.dtype):
            raise DataError(
                "IMAGE_SHAPE",
                f"all pictures must be of one size and mode: {paths[0]} is {_described(first)},"
                f" {path} is {_described(picture)}.",
            )
        stacked[number] = picture
    # Explicit: pictures of three rows would pass for ones with the colours first.
    return np.moveaxis(stacked, 3, 1) if stacked.ndim == 4 else stacked[:, None]


def _described(picture: np.ndarray) -> str:
    height, width = picture.shape[:2]
    colour = "RGB" if picture.ndim == 3 else "grey" if picture.dtype == np.uint8 else "1-bit"
    return f"{width} x {height} {colour}"


def _picture(path: Path) -> np.ndarray:
    """Return one picture, shape (h, w) or (h, w, 3), bytes or booleans."""
    pillow = optional_module("PIL.Image", "images")
    file_size(path)
    try:
        with warnings.catch_warnings():
            # Pillow only warns of a small file that unpacks to more than 89 million pixels.
            warnings.simplefilter("error", pillow.DecompressionBombWarning)
            with pillow.open(path, formats=("PNG", "JPEG")) as picture:
                if picture.mode not in _MODES:
                    what = f"{path} is of mode {picture.mode}; convert it to grey (L) or to RGB."
                    raise DataError("PICTURE_MODE", what)
                return np.asarray(picture)
    except DataError:
        raise
    # On damaged bytes Pillow, zlib and struct raise a dozen kinds of exceptions.
    except Exception as error:
        raise DataError(
            "PICTURE_CORRUPT", f"{path} cannot be read as a picture ({brief(error)})."
        ) from None
