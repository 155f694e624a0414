"""Images with pixels in [0, 1], in parts for training, validation and test."""

import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from vgae.errors import DataError, check_choice
from vgae.graphs.arrays import dense_array, label_tensor, sha256
from vgae.runtime.preview import Preview
from vgae.runtime.streams import stream

log = logging.getLogger(__name__)

Binarize = Literal["none", "static", "dynamic"]

_COLOURS = (1, 3)
_FEW = 16  # largest byte of images whose white may be another byte than 255
_DARK = 0.1


@dataclass(frozen=True, eq=False)
class Images:
    """Images of one size, with optional labels.

    Use :meth:`from_arrays` or :func:`vgae.data.named_images.load_images`, which check and copy
    their input.

    Attributes:
        train: Training pixels, float32 in ``[0, 1]``, shape ``(n, c, h, w)``; c is 1 for grey.
        val: Validation pixels, which choose a model; there may be none.
        test: Test pixels, which evaluate it; there may be none.
        y_train: Label of each training image, int64 from 0 on, or -1 where unknown, shape
            ``(n,)``; ``None`` without labels.
        y_val: Labels of the validation images.
        y_test: Labels of the test images.
        name: Name in messages and run folders.
    """

    train: Tensor
    val: Tensor
    test: Tensor
    y_train: Tensor | None = None
    y_val: Tensor | None = None
    y_test: Tensor | None = None
    name: str = "images"

    @classmethod
    def from_arrays(
        cls,
        train: Any,
        *,
        val: Any = None,
        test: Any = None,
        y_train: Any = None,
        y_val: Any = None,
        y_test: Any = None,
        name: str = "images",
        seed: int = 0,
    ) -> "Images":
        """Copy pixels and labels of arrays, tensors or nested lists.

        Bytes (uint8) are divided by 255; if none is above 1, they are 0 and 1, which is logged.
        If ``val`` or ``test`` is absent, 10 % of ``train``, rounded down, are split off for it,
        by a permutation that depends only on the seed and the number of images. Within a part,
        images keep their order.

        Args:
            train: Bytes, floats in ``[0, 1]`` or booleans, shape ``(n, h, w)`` or
                ``(n, c, h, w)``; ``(n, h, w, c)`` is transposed if only its last size is 1 or 3.
            val: Validation pixels, of the same size and number of colours.
            test: Test pixels, of the same size and number of colours.
            y_train: Integers, shape ``(n,)``, split as ``train`` is.
            y_val: Integers; with ``val`` only.
            y_test: Integers; with ``test`` only.
            name: Name of the images in messages.
            seed: Seed of the split.

        Raises:
            DataError: ``NO_IMAGES``; ``IMAGE_SHAPE``; ``IMAGE_DTYPE``; ``IMAGE_RANGE`` if a pixel
                is outside ``[0, 1]``, or the largest byte of a part lies in 2 to 16, such as that
                of images from 0 to 16; ``IMAGE_NONFINITE``; ``LABELS`` if labels are not
                integers, or not one per image.
            UsageError: If the seed is out of range.
        """
        given = {"train": (train, y_train), "val": (val, y_val), "test": (test, y_test)}
        arrays = {
            part: _channels_first(dense_array(pixels, part, "IMAGE_SHAPE"), part)
            for part, (pixels, _) in given.items()
            if part == "train" or pixels is not None
        }
        white = _white(arrays)
        parts = {
            part: _checked(part, array, given[part][1], white) for part, array in arrays.items()
        }
        first = parts["train"].pixels.shape[1:]
        for part, (pixels, _) in parts.items():
            if pixels.shape[1:] != first:
                raise DataError(
                    "IMAGE_SHAPE",
                    f"the images of {part} must be like those of train, {_times(first)}, got"
                    f" {_times(pixels.shape[1:])}.",
                )
        absent = [part for part in given if part not in parts]
        for part in absent:
            if given[part][1] is not None:
                raise DataError("LABELS", f"y_{part} is given without {part}; give both.")
        if len(parts["train"].pixels) == 0:
            raise DataError("NO_IMAGES", "train has no images; it must have at least one.")
        parts |= _split_off(absent, parts["train"], seed)
        train, val, test = (parts[part] for part in given)
        labels = (train.labels, val.labels, test.labels)
        return cls(train.pixels, val.pixels, test.pixels, *labels, name)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Colours, height and width of an image: ``(c, h, w)``."""
        _, c, h, w = self.train.shape
        return c, h, w

    @property
    def num_pixels(self) -> int:
        """Number of values of an image: c h w."""
        return math.prod(self.shape)

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of all pixels and labels, in hexadecimal."""
        parts = (self.train, self.val, self.test, self.y_train, self.y_val, self.y_test)
        arrays = (None if part is None else part.cpu().numpy() for part in parts)
        return sha256("vgae-images-1", *arrays)

    def binarised(self, binarize: Binarize, seed: int) -> "Images":
        """Return images with pixels 0 or 1, drawn with the grey value as probability.

        Validation and test images are drawn once, equally for ``"static"`` and ``"dynamic"``.
        Source: Salakhutdinov & Murray (2008), `On the Quantitative Analysis of Deep Belief
        Networks <https://doi.org/10.1145/1390156.1390266>`_, for the static form; Burda, Grosse &
        Salakhutdinov (2016), `Importance Weighted Autoencoders
        <https://arxiv.org/abs/1509.00519>`_, appendix D, for the dynamic one.

        Args:
            binarize: ``"static"`` draws the training images once too; ``"dynamic"`` leaves them
                grey, for :func:`binarised` in each epoch; ``"none"`` changes nothing.
            seed: Seed of the draws.

        Raises:
            UsageError: ``BINARIZE``, or if the seed is out of range.
        """
        check_choice("binarize", binarize, Binarize)
        if binarize == "none":
            return self
        draw = stream(seed, "binarize", self.train.device)
        val, test = binarised(self.val, draw), binarised(self.test, draw)
        # Last, so that the other two do not depend on ``binarize``.
        train = binarised(self.train, draw) if binarize == "static" else self.train
        return replace(self, train=train, val=val, test=test)

    def __repr__(self) -> str:
        counts = " + ".join(str(len(part)) for part in (self.train, self.val, self.test))
        return f"Images({self.name!r}, {counts} of {_times(self.shape)})"

    def _repr_html_(self) -> str:
        parts = {"train": self.train, "val": self.val, "test": self.test}
        rows = [(name, len(part)) for name, part in parts.items()]
        return Preview(
            f"Images {self.name}, {_times(self.shape)}", rows, ["part", "images"]
        ).html()


def binarised(pixels: Tensor, generator: torch.Generator) -> Tensor:
    """Draw each pixel, in ``[0, 1]``, as 1 with its value as probability, else as 0."""
    # torch.rand is in [0, 1): a pixel of 0 is never drawn as 1, a pixel of 1 always. It is twice
    # as fast on a CPU as torch.bernoulli.
    options = {"dtype": pixels.dtype, "device": pixels.device}
    chance = torch.rand(pixels.shape, generator=generator, **options)
    return (chance < pixels).to(pixels.dtype)


class _Part(NamedTuple):
    """Images of shape ``(n, c, h, w)`` and their labels."""

    pixels: Tensor
    labels: Tensor | None

    def take(self, index: Tensor) -> "_Part":
        return _Part(self.pixels[index], None if self.labels is None else self.labels[index])


def _checked(part: str, array: np.ndarray, y: Any, white: int) -> _Part:
    pixels = _pixels(array, part, white)
    num = len(pixels)
    return _Part(pixels, None if y is None else label_tensor(y, f"y_{part}", num, "image"))


def _split_off(names: list[str], part: _Part, seed: int) -> dict[str, _Part]:
    """Split a tenth of ``part`` off for each name; ``train`` gets the rest."""
    if not names:
        return {}
    num = len(part.pixels)
    order = torch.randperm(num, generator=stream(seed, "split"))
    sizes = [num // 10] * len(names)
    indices = order.split([*sizes, num - sum(sizes)])
    return {
        name: part.take(index.sort().values)
        for name, index in zip([*names, "train"], indices, strict=True)
    }


def _times(shape: Any) -> str:
    return " x ".join(map(str, shape))


def _white(arrays: Mapping[str, np.ndarray]) -> int:
    """Return the byte that stands for white: 255, or 1 if no byte of any part is above 1.

    Raises:
        DataError: ``IMAGE_RANGE`` if another byte may be meant.
    """
    largest = {p: int(a.max()) for p, a in arrays.items() if a.dtype == np.uint8 and a.size}
    if not any(largest.values()):
        return 255
    if max(largest.values()) == 1:
        log.warning("no byte of the images is above 1: 0 is taken as black and 1 as white")
        return 1
    for part, byte in largest.items():
        if 0 < byte <= _FEW:
            white = _FEW if byte > _FEW // 2 else byte
            raise DataError(
                "IMAGE_RANGE",
                f"the largest byte of {part} is {byte}, while 255 is white, so that all of its"
                f" images would be black; pass {part} / {white} if {white} is white, or"
                f" {part} / 255 if they are that dark.",
            )
    return 255


def _pixels(array: np.ndarray, name: str, white: int) -> Tensor:
    """Return a copy of shape (n, c, h, w) as float32 in [0, 1]."""
    if array.dtype.kind not in "bf" and array.dtype != np.uint8:
        is_number = array.dtype.kind in "iu" and array.size
        cure = _to_unit_range(array.min(), array.max(), name) if is_number else "convert it."
        raise DataError(
            "IMAGE_DTYPE",
            f"{name} must be bytes (uint8), floats in [0, 1] or booleans, got {array.dtype};"
            f" {cure}",
        )
    with np.errstate(over="ignore"):
        # A copy in row-major order, which later changes of the caller's array do not reach.
        pixels = array.astype(np.float32, order="C")
    if array.dtype == np.uint8:
        pixels /= white
    elif array.dtype.kind == "f":
        _check_values(pixels, name)
    if pixels.size and 0 < (brightest := float(pixels.max())) < _DARK:
        log.warning(
            "the brightest pixel of %s is %.3g, and 1 is white; if it is white, pass %s / %.3g",
            *(name, brightest, name, brightest * (white if array.dtype == np.uint8 else 1)),
        )
    return torch.from_numpy(pixels)


def _channels_first(array: np.ndarray, name: str) -> np.ndarray:
    """Return the array with shape (n, c, h, w)."""
    shape = array.shape
    if array.ndim == 2:
        side = round(shape[1] ** 0.5)
        sizes = f"{side}, {side}" if side and side * side == shape[1] else "h, w"
        raise _wrong_shape(
            name, shape, f"; if its rows are flat images, use {name}.reshape(-1, {sizes})."
        )
    if array.ndim not in (3, 4):
        raise _wrong_shape(name, shape, ".")
    if 0 in shape[1:]:
        raise _wrong_shape(name, shape, "; an image must have at least one pixel.")
    if array.ndim == 3:
        return array[:, None]
    if shape[3] == 4 < min(shape[1:3]):
        raise _wrong_shape(name, shape, "; if the last of four colours is alpha, use [..., :3].")
    colours_last = shape[3] in _COLOURS and shape[1] not in _COLOURS
    return np.moveaxis(array, 3, 1) if colours_last else array


def _wrong_shape(name: str, shape: tuple[int, ...], hint: str) -> DataError:
    return DataError(
        "IMAGE_SHAPE", f"{name} must have shape (n, h, w) or (n, c, h, w), got {shape}{hint}"
    )


def _check_values(pixels: np.ndarray, name: str) -> None:
    """Raise unless all pixels are finite and in [0, 1]."""
    if not pixels.size:
        return
    low, high = float(pixels.min()), float(pixels.max())
    if low >= 0 and high <= 1:
        return
    finite = np.isfinite(pixels)
    if not finite.all():
        image, c, row, column = np.argwhere(~finite)[0].tolist()
        raise DataError(
            "IMAGE_NONFINITE",
            f"{name} must be finite in float32, got {np.count_nonzero(~finite)} other values, the"
            f" first in image {image}, colour {c}, row {row}, column {column}.",
        )
    raise DataError(
        "IMAGE_RANGE",
        f"{name} must lie in [0, 1], got values from {low:g} to {high:g};"
        f" {_to_unit_range(low, high, name)}",
    )


def _to_unit_range(low: float, high: float, name: str) -> str:
    """Return the advice that brings pixels of a range to [0, 1]."""
    if low >= 0 and high <= 255:
        white = next(scale for scale in (1, 16, 255) if high <= scale)
        return f"pass {name} / {white} if {white} is white."
    if low >= -1 and high <= 1:
        return f"pass ({name} + 1) / 2 if -1 is black and 1 is white."
    if low >= 0:
        return f"pass {name} / {high:g}, or divide by the largest possible value."
    return f"pass ({name} - {name}.min()) / {high - low:g}, or undo its standardisation."
