r"""Checkpoint files: tensors and plain values in one file with a checksum.

=============  =====================================================================
8 bytes        ``VGAECKPT``
8 bytes        length of the header, little-endian
header         JSON: format, version of the package, values, and name, dtype, shape
               and place of each tensor; padded with blanks
tensors        little-endian, one after the other, without gaps
32 bytes       SHA-256 of everything before
=============  =====================================================================

A file has no code, no pickle, no sparse or strided tensors. A file with one bit changed, or cut
off anywhere, is rejected before its content is used.
"""

import hashlib
import json
import logging
import math
import os
import shutil
import struct
import time
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from torch import Tensor

from vgae.errors import ArtifactError
from vgae.runtime.atomic import replacing, writing
from vgae.runtime.locks import locked_file
from vgae.runtime.reading import parsed_json, read_regular
from vgae.version import __version__

log = logging.getLogger(__name__)

FORMAT = 1
SECONDS = 10.0  # minimum between two checkpoints of a training
_MAGIC = b"VGAECKPT"
_HEAD = struct.Struct("<8sQ")
_DIGEST = hashlib.sha256().digest_size
_NAMES = ("float32", "float64", "int64", "int32", "uint8", "bool")
_DTYPES = {name: getattr(torch, name) for name in _NAMES}
_KEPT = 2


@dataclass(frozen=True)
class Checkpoint:
    """Content of a checkpoint file.

    Attributes:
        values: JSON values: numbers, text, lists, dicts.
        tensors: Dense tensors by name.
    """

    values: dict[str, Any] = field(default_factory=dict)
    tensors: dict[str, Tensor] = field(default_factory=dict)


def write_checkpoint(path: str | os.PathLike[str], checkpoint: Checkpoint) -> None:
    """Write a checkpoint, whole or not at all; see :func:`vgae.runtime.atomic.replacing`.

    Raises:
        TypeError: If a tensor is sparse, or of a type that is not stored.
        OSError: If the file cannot be written; an earlier file stays.
    """
    with replacing(path) as temporary, temporary.open("wb") as file:
        for part in _parts(checkpoint):
            file.write(part)


def read_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a checkpoint, all or nothing.

    Raises:
        ArtifactError: ``CANNOT_READ``; ``NOT_A_CHECKPOINT`` if it is another file;
            ``CKPT_CORRUPT`` if it is damaged, or has content that no version of this
            package writes; ``CKPT_VERSION`` if a later version wrote it.
    """
    path = Path(path)
    try:
        content = read_regular(path)
    except OSError as error:
        raise ArtifactError("CANNOT_READ", f"{path}: {error.strerror}.") from None
    if content[: len(_MAGIC)] != _MAGIC:
        raise ArtifactError("NOT_A_CHECKPOINT", f"{path} is no checkpoint of this package.")
    return decoded(path, content)


def decoded(path: Path, content: bytes) -> Checkpoint:
    """Return the checkpoint in the content of a file; errors as for :func:`read_checkpoint`."""
    body, digest = memoryview(content)[:-_DIGEST], content[-_DIGEST:]
    if len(content) < _HEAD.size + _DIGEST or hashlib.sha256(body).digest() != digest:
        raise ArtifactError(
            "CKPT_CORRUPT",
            f"{path} is damaged: its checksum is wrong; remove it, or take an earlier one.",
        )
    # A checksum detects damage, not malice.
    try:
        return _decoded(path, body)
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, ArtifactError):
            raise
        reason = f"lacks {error}" if isinstance(error, KeyError) else str(error).rstrip(".")
        raise ArtifactError(
            "CKPT_CORRUPT", f"{path} is no checkpoint that this package writes: {reason:.120}."
        ) from None


class Checkpoints:
    """Folder with the last two checkpoints of one training.

    Args:
        folder: Folder, which is created if it does not exist.
        identity: Values that must be equal for a training to continue from a checkpoint.
        former: Values of the same names in checkpoints of earlier versions, which identified
            less; a training continues from them with a warning.
    """

    def __init__(
        self,
        folder: str | os.PathLike[str],
        identity: Mapping[str, Any],
        former: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self.folder = Path(folder)
        self.identity = json.loads(json.dumps(identity))  # as it will be read back
        self.former = json.loads(json.dumps(dict(former)))
        self._written = time.monotonic()

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Lock the folder, so that no other training writes in it.

        Raises:
            ResourceError: ``LOCKED`` if another one does, or the folder cannot be written.
        """
        with writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
        taken = f"another training has its checkpoints in {self.folder}; choose another folder."
        with locked_file(self.folder / ".lock", lambda: taken):
            yield

    def load(self) -> Checkpoint | None:
        """Return the newest undamaged checkpoint, with a warning for each damaged newer one.

        Raises:
            ArtifactError: ``CKPT_OTHER`` if it is of another training; ``CKPT_CORRUPT`` if all
                are damaged: a new start would overwrite files that can perhaps be repaired.
        """
        damaged = []
        for path in self.stored():
            try:
                found = read_checkpoint(path)
            except ArtifactError as error:
                if error.code not in ("CKPT_CORRUPT", "NOT_A_CHECKPOINT"):
                    raise
                damaged.append(error)
                continue
            for error in damaged:
                log.warning("%s The training continues from the one before.", error)
            self._check(path, _identity(found))
            return found
        if damaged:
            raise ArtifactError(
                "CKPT_CORRUPT",
                f"no checkpoint in {self.folder} is whole; restore one, or remove them to start"
                f" again. The newest: {damaged[0]}",
            )
        return None

    def _check(self, path: Path, theirs: Mapping[str, Any]) -> None:
        """Raise ``CKPT_OTHER`` if a checkpoint is of another training.

        Parts that :func:`forget_identity` removed may differ.
        """
        differing = [name for name, value in theirs.items() if self.identity.get(name) != value]
        unknown = [k for k in differing if k in self.former and self.former[k] == theirs[k]]
        if others := [name for name in differing if name not in unknown]:
            raise ArtifactError(
                "CKPT_OTHER",
                f"{path} is of a training with another {', '.join(others)}; continue"
                " with the earlier values, or take another folder.",
            )
        if unknown:
            log.warning(
                "%s is of an earlier version, which did not store enough of the %s to tell whether"
                " it is the same; the training continues as if it were",
                path,
                " and the ".join(unknown),
            )

    def check_space(self, checkpoint: Checkpoint) -> None:
        """Warn if the disk has no room for further checkpoints of this size."""
        there = next(p for p in (self.folder, *self.folder.absolute().parents) if p.exists())
        free = shutil.disk_usage(there).free
        need = (_KEPT + 1) * sum(tensor.nbytes for tensor in checkpoint.tensors.values())
        if free < need:
            log.warning(
                "checkpoints take %.0f MB, and %s has %.0f MB free; make room, or the training"
                " ends when it is used up",
                need / 1e6,
                there,
                free / 1e6,
            )

    def due(self) -> bool:
        """Return whether the next checkpoint is due."""
        return time.monotonic() - self._written >= SECONDS

    def save(self, epoch: int, checkpoint: Checkpoint) -> None:
        """Write the checkpoint of an epoch, and remove all but the last two."""
        self.folder.mkdir(parents=True, exist_ok=True)
        path = self.folder / f"epoch-{epoch:09d}.ckpt"
        values = {**checkpoint.values, "identity": self.identity}
        write_checkpoint(path, replace(checkpoint, values=values))
        for old in [p for p in self.stored() if p.name <= path.name][_KEPT:]:
            old.unlink(missing_ok=True)
        self._written = time.monotonic()

    def stored(self) -> list[Path]:
        """Return the files, the newest first."""
        return sorted(self.folder.glob("epoch-*.ckpt"), reverse=True)


def forget_identity(folder: str | os.PathLike[str], parts: Collection[str]) -> None:
    """Remove parts of the identity, so that a training that differs in them can continue."""
    for path in Checkpoints(folder, {}).stored():
        try:
            found = read_checkpoint(path)
        except ArtifactError as error:
            log.warning("%s It is not changed.", error)
            continue
        identity = {k: v for k, v in _identity(found).items() if k not in parts}
        write_checkpoint(path, replace(found, values={**found.values, "identity": identity}))


def _identity(found: Checkpoint) -> dict[str, Any]:
    identity = found.values.get("identity")
    return identity if isinstance(identity, dict) else {}


def encoded(checkpoint: Checkpoint) -> bytes:
    """Return the content of a checkpoint file."""
    return b"".join(_parts(checkpoint))


def _parts(checkpoint: Checkpoint) -> Iterator[bytes | memoryview]:
    """Return the content of a checkpoint file part by part, so that no copy of it is needed."""
    table, arrays, place = [], [], 0
    for name in sorted(checkpoint.tensors):
        tensor = checkpoint.tensors[name].detach().cpu()
        dtype = str(tensor.dtype).removeprefix("torch.")
        if tensor.layout != torch.strided or dtype not in _DTYPES:
            raise TypeError(f"{name} cannot be stored: {tensor.dtype}, {tensor.layout}.")
        array = tensor.contiguous().numpy()
        table.append({"name": name, "dtype": dtype, "shape": list(tensor.shape), "place": place})
        arrays.append(array.astype(array.dtype.newbyteorder("<"), copy=False))
        place += array.nbytes
    content = {"format": FORMAT, "version": __version__}
    content |= {"values": checkpoint.values, "tensors": table}
    header = json.dumps(content, sort_keys=True, allow_nan=False).encode()
    header += b" " * (-(_HEAD.size + len(header)) % 16)  # aligns the arrays
    digest = hashlib.sha256()
    flat = (array.reshape(-1).view(np.uint8).data for array in arrays if array.size)
    for part in chain([_HEAD.pack(_MAGIC, len(header)), header], flat):
        digest.update(part)
        yield part
    yield digest.digest()


def _decoded(path: Path, body: memoryview) -> Checkpoint:
    """Return the content of a body; ``KeyError``, ``TypeError`` or ``ValueError`` if not valid."""
    start = _HEAD.size + _HEAD.unpack_from(body)[1]
    if start > len(body):
        raise ValueError("its header is longer than itself")
    header = parsed_json(bytes(body[_HEAD.size : start]))
    if header["format"] != FORMAT:
        raise ArtifactError(
            "CKPT_VERSION",
            f"{path} was written by vgae {header['version']!r:.40} in format"
            f" {header['format']!r:.40}, this version reads {FORMAT}; use that one.",
        )
    if type(header["values"]) is not dict:
        raise TypeError("its values are no JSON object")
    return Checkpoint(header["values"], _tensors(header["tensors"], body, start))


def _tensors(
    table: Sequence[Mapping[str, Any]], body: memoryview, start: int
) -> dict[str, Tensor]:
    """Return the tensors, which fill the body from ``start`` to its end.

    Without gaps and overlaps, they take no more memory than the file.
    """
    tensors, place = {}, 0
    for row in table:
        name, dtype, shape = row["name"], row["dtype"], row["shape"]
        if type(name) is not str or name in tensors or dtype not in _DTYPES:
            raise ValueError("a tensor has no name of its own, or a type that is not stored")
        if type(shape) is not list or any(type(n) is not int or n < 0 for n in shape):
            raise ValueError("the shape of a tensor is no list of sizes")
        stored = np.dtype(dtype).newbyteorder("<")
        # Python's integers do not overflow.
        count = math.prod(shape)
        end = place + count * stored.itemsize
        if row["place"] != place or start + end > len(body):
            raise ValueError("a tensor is not where the one before it ends")
        array = np.frombuffer(body, stored, count, start + place)
        if dtype == "bool" and (array.view(np.uint8) > 1).any():
            raise ValueError("a truth value is neither 0 nor 1")
        # A copy, as the bytes are read-only; in the byte order of the machine.
        native = array.astype(array.dtype.newbyteorder("="))
        tensors[name] = torch.from_numpy(native).to(_DTYPES[dtype]).reshape(shape)
        place = end
    if start + place != len(body):
        raise ValueError("something is left over at the end")
    return tensors
