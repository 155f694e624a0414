"""Hostile files, built anew each time: what each is called, and its bytes."""

import io
import json
import os
import pickle
import struct
import subprocess
import zipfile
import zlib
from builtins import exec as builtin_exec
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch

MIB = 2**20


class Calls:
    """Its pickle, once opened, calls a function."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.call = function, arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.call


def attacks(marker: Path) -> dict[str, Calls]:
    """Return objects whose pickles leave a file."""
    return {
        "system": Calls(os.system, f"touch {marker}"),
        "exec": Calls(builtin_exec, f"open({str(marker)!r}, 'w').close()"),
        "popen": Calls(subprocess.Popen, ["touch", str(marker)]),
    }


def corpus(marker: Path) -> dict[str, bytes]:
    """Return every hostile file; each that is code would leave a file ``marker``."""
    files = {}
    for name, attack in attacks(marker).items():
        files[f"pickle-2-{name}"] = pickle.dumps(attack, protocol=2)
        files[f"pickle-4-{name}"] = pickle.dumps(attack, protocol=4)
        files[f"torch-{name}"] = torch_file(attack)
        files[f"npz-object-{name}"] = npz({"edges": object_array(attack)})
        files[f"npy-object-{name}"] = object_array(attack)
    files["pickle-renamed-checkpoint"] = renamed(marker)
    files["torch-stride-0"] = torch_file(torch.zeros(1).expand(10**12))
    return files | archives() | gzips() | safetensors() | sparse() | numpy_headers() | documents()


def renamed(marker: Path) -> bytes:
    """Return a pickle with the first bytes of a checkpoint."""
    return b"VGAECKPT" + pickle.dumps(attacks(marker)["system"], protocol=2)


def archives() -> dict[str, bytes]:
    zeros = array_header("|u1", (10 * 2**30,))
    slip = npz({"../../../tmp/slipped": npy(np.zeros(3)), "/abs": npy(np.zeros(3))})
    return {
        "zip-bomb": zipped("x.npy", *repeated(bytes(MIB), 10 * 1024, zeros)),
        # The directory says little, what is packed is much.
        "zip-lie": zipped("x.npy", repeated(bytes(MIB), 4 * 1024, zeros)[0], 100, 0),
        "zip-many-bombs": npz({f"x{k}": npy(np.zeros(10 * MIB, np.uint8)) for k in range(40)}),
        "zip-slip": slip,
        "zip-twice-the-same-name": twice(),
        "zip-nested": npz({"inner": slip}),
        "zip-bzip2": packed(zipfile.ZIP_BZIP2),
        "zip-lzma": packed(zipfile.ZIP_LZMA),
    }


def gzips() -> dict[str, bytes]:
    idx = struct.pack(">4B3I", 0, 0, 8, 3, 2**12, 2**10, 2**10)
    return {
        "gz-bomb-of-lines": gz(*repeated(b"\n" * MIB, 1024, b"a,b\n")),
        "gz-bomb-of-zeros": gz(*repeated(bytes(MIB), 1024, b"")),
        "gz-bomb-of-one-line": gz(*repeated(b"x" * MIB, 1024, b"")),
        "gz-bomb-of-images": gz(*repeated(bytes(MIB), 4096, idx)),
        "gz-cut": gz(*repeated(b"a,b\n" * 100, 4, b""))[:-6],
    }


def safetensors() -> dict[str, bytes]:
    one = {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}
    headers: dict[str, Any] = {
        "overlap": {"a": one, "b": one},
        "hole": {"a": one, "b": one | {"data_offsets": [16, 24]}},
        "negative": {"a": one | {"data_offsets": [-8, 0]}},
        "beyond": {"a": one | {"shape": [2**60], "data_offsets": [0, 2**62]}},
        "wraps": {"a": one | {"shape": [2**32, 2**32]}},
        "wrong-type": {"a": one | {"dtype": "F99"}},
        "integers": {"encoder.weight0": one | {"dtype": "I32"}},
        "list": [one],
        "number": 7,
    }
    files = {f"safetensors-{k}": tensors(json.dumps(v).encode()) for k, v in headers.items()}
    text = json.dumps(one)
    return files | {
        "safetensors-longer-than-itself": struct.pack("<Q", 2**63) + b"{}",
        "safetensors-header-of-200-MB": struct.pack("<Q", 200_000_000) + b"{" + b" " * MIB,
        "safetensors-same-key": tensors(f'{{"a": {text}, "a": {text}}}'.encode()),
        "safetensors-not-utf-8": tensors(b'{"\xff\xfe": 1}'),
        "safetensors-deep": tensors(b"[" * 100_000),
        "safetensors-empty": b"",
    }


def sparse() -> dict[str, bytes]:
    """Return matrices of scipy whose indices point outside."""
    good = {
        "format": np.array(b"csr"),
        "shape": np.array([3, 3]),
        "data": np.ones(3, np.float32),
        "indices": np.array([1, 2, 0], np.int32),
        "indptr": np.array([0, 1, 2, 3], np.int32),
    }
    changes: dict[str, dict[str, Any]] = {
        "column": {"indices": np.array([1, 2**30, 0], np.int32)},
        "negative": {"indices": np.array([1, -(2**30), 0], np.int32)},
        "falls": {"indptr": np.array([0, 2**30, 2, 3], np.int32)},
        "falls-without-entries": {
            "indptr": np.array([0, 2**56, 2**57, 0]),
            "indices": np.zeros(0, np.int64),
            "data": np.zeros(0),
        },
        "short": {"indptr": np.array([0, 3], np.int32)},
        "huge-shape": {"shape": np.array([2**62, 2**62])},
        "no-shape": {"shape": np.array("x")},
        "csc": {"format": np.array(b"csc"), "indices": np.array([1, 9, 0], np.int32)},
        "coo": {"format": np.array(b"coo"), "row": np.array([9] * 3), "col": np.array([0] * 3)},
        "bsr": {"format": np.array(b"bsr")},
        "complex": {"data": np.ones(3, complex)},
    }
    return {
        f"csr-{name}": npz({k: npy(v) for k, v in (good | change).items()})
        for name, change in changes.items()
    }


def numpy_headers() -> dict[str, bytes]:
    headers = {
        "2-to-the-50": array_header("<f8", (2**50,)),
        "wraps": array_header("<f8", (2**32, 2**32)),
        "negative": array_header("<f8", (-1, -8)),
        "wide": array_header("<U1000000000", (1,)),
        "deep": header(b"(" * 9000),
        "code": header(b"{'descr': __import__('os').system('true'), 'shape': ()}"),
    }
    files = {f"npy-{name}": head + bytes(64) for name, head in headers.items()}
    return files | {f"npz-{name}": npz({"x": head}) for name, head in headers.items()}


def documents() -> dict[str, bytes]:
    return {
        "json-deep": b"[" * 200_000,
        "json-number": b'{"seed": ' + b"9" * 100_000 + b"}",
        "json-nan": b'{"loss": NaN}',
        "xml-entities": b'<!DOCTYPE x [<!ENTITY a "' + b"a" * 999 + b'">]><x>&a;&a;</x>',
        "xml-external": b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><graphml>&a;'
        b"</graphml>",
        "xml-laughs": b"<!DOCTYPE x ["
        + b"".join(b'<!ENTITY a%d "%s">' % (k + 1, b"&a%d;" % k * 10) for k in range(9))
        + b'<!ENTITY a0 "ha">]><gexf>&a9;</gexf>',
        "xml-deep": b"<a>" * 100_000,
        "gml-deep": b"graph [ " * 10_000,
        "pajek-huge": b"*Vertices 9999999999\n*Edges\n1 2\n",
        "html": b"<!doctype html><title>404</title>",
        "quotes": b'"' + b"a,b\n" * 200_000,
        "fields": b"," * 500_000,
        "mtx-huge": b"%%MatrixMarket matrix coordinate real general\n"
        b"9999999999999 9999999999999 0\n",
    }


# How the bytes are made ------------------------------------------------------------------------


def torch_file(value: Any) -> bytes:
    file = io.BytesIO()
    torch.save(value, file)
    return file.getvalue()


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=False)
    return file.getvalue()


def object_array(value: Any) -> bytes:
    file = io.BytesIO()
    array = np.empty(1, object)
    array[0] = value
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def header(text: bytes) -> bytes:
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text) + 1) + text + b"\n"


def array_header(descr: str, shape: tuple[int, ...]) -> bytes:
    return header(repr({"descr": descr, "fortran_order": False, "shape": shape}).encode())


def npz(members: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in members.items():
            archive.writestr(f"{name}.npy", content)
    return file.getvalue()


def packed(method: int) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("x.npy", npy(np.zeros(4 * MIB)))
    return file.getvalue()


def twice() -> bytes:
    first = npz({"x": npy(np.zeros(3)), "y": npy(np.ones(3))})
    return first.replace(b"y.npy", b"x.npy")


def repeated(block: bytes, times: int, first: bytes) -> tuple[bytes, int, int]:
    """Return a deflate stream of a block many times, its length and its CRC, at no great cost."""
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    start = packer.compress(first) + packer.flush(zlib.Z_FULL_FLUSH)
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    one = packer.compress(block) + packer.flush(zlib.Z_FULL_FLUSH)
    end = zlib.compressobj(9, zlib.DEFLATED, -15).flush()
    return start + one * times + end, len(first) + times * len(block), 0


def gz(stream: bytes, length: int, crc: int) -> bytes:
    return b"\x1f\x8b\x08" + bytes(7) + stream + struct.pack("<II", crc, length % 2**32)


def zipped(name: str, stream: bytes, length: int, crc: int) -> bytes:
    """Return an archive of one member, whose sizes in the directory are as given."""
    raw = name.encode()
    # Lengths beyond 32 bits stand in an extra field.
    extra = struct.pack("<HHQQ", 1, 16, length, len(stream))
    common = struct.pack(
        "<HHHHHIIIHH", 45, 0, 8, 0, 33, crc, 2**32 - 1, 2**32 - 1, len(raw), len(extra)
    )
    local = b"PK\x03\x04" + common + raw + extra + stream
    central = b"PK\x01\x02" + struct.pack("<H", 45) + common
    central += struct.pack("<HHHII", 0, 0, 0, 0, 0) + raw + extra
    end = struct.pack("<4sHHHHIIH", b"PK\5\6", 0, 0, 1, 1, len(central), len(local), 0)
    return local + central + end


def tensors(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text + bytes(32)
