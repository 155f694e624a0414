"""Arrays to and from npz files, none of them pickled."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from vgae.atomic import replacing
from vgae.errors import DataError


def write_arrays(path: str | os.PathLike[str], arrays: Mapping[str, np.ndarray]) -> None:
    """Write arrays of numbers and text to an npz file, whole or not at all."""
    if objects := [name for name, array in arrays.items() if array.dtype.hasobject]:
        raise TypeError(f"arrays of objects would be pickled: {', '.join(objects)}.")
    # Given a name, numpy would add .npz to one that lacks it.
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez_compressed(file, **arrays)  # pyright: ignore[reportArgumentType]


def read_arrays(path: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """Return every array of an npz file.

    Raises:
        DataError: If the file cannot be read (``NPZ_CORRUPT``) or holds pickled objects
            (``PICKLE_REFUSED``). The message is the reason alone: the caller knows what the file
            should have been.
    """
    try:
        # Opened here, because numpy does not close a file that it cannot read.
        with Path(path).open("rb") as file:
            # Whatever is not a zip archive, numpy takes for a pickle.
            if file.read(4) not in (b"PK\3\4", b"PK\5\6"):
                raise DataError("NPZ_CORRUPT", "it is not a zip archive.")
            file.seek(0)
            with np.load(file, allow_pickle=False) as members:
                arrays = {name: members[name] for name in members.files}
                # numpy gives the bytes of a member that is no array.
                for name, array in arrays.items():
                    if not isinstance(array, np.ndarray):
                        raise DataError("NPZ_CORRUPT", f"its member {name} is not an array.")
                return arrays
    except DataError:
        raise
    # On damaged bytes numpy, zipfile and zlib raise a dozen kinds of exceptions.
    except Exception as error:
        if "pickle" in str(error):
            raise DataError("PICKLE_REFUSED", "it holds pickled objects.") from None
        reason = str(error).rstrip(".") or type(error).__name__
        raise DataError("NPZ_CORRUPT", f"{reason}.") from None
