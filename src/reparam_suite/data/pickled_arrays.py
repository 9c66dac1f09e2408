"""Reading the pickles of arrays that Python 2 wrote, without running any code: stand-ins take the place of NumPy's
functions, and every other name is refused.
"""

import io
import pickle
from typing import Any, final

import numpy as np

from reparam_suite.data.kinds import Array
from reparam_suite.runtime.errors import DataError

_UNREADABLE = (pickle.UnpicklingError, EOFError, ValueError, TypeError, IndexError, KeyError, AttributeError)


def arrays_of_pickle(content: bytes, where: str) -> dict[str, Any]:
    """The members of a pickled dictionary: arrays of bytes as uint8 arrays, lists, texts and numbers as they are.

    Args:
        content: of the file.
        where: the file's name, for a message.

    Raises:
        DataError: naming the file, if it is no such dictionary, or names anything but a NumPy array.
    """
    try:
        held = _Unpickler(io.BytesIO(content), encoding="bytes").load()
    except DataError as error:
        raise DataError(f"{where}: {error}") from error
    except (*_UNREADABLE, MemoryError, OverflowError) as error:
        raise DataError(f"{where}: expected a pickle of arrays, got one that cannot be read: {error}") from error
    if not isinstance(held, dict):
        raise DataError(f"{where}: expected a pickled dictionary, got {type(held).__name__}")
    return {_text(key): each.array(where) if isinstance(each, _Array) else each for key, each in held.items()}


@final
class _Type:
    """In the place of numpy.dtype: holds its name, and takes the state that follows it."""

    def __init__(self, name: Any = None, *_: Any) -> None:
        self.name = _text(name)

    def __setstate__(self, state: Any) -> None:
        """The byte order and so on of a type of single bytes say nothing."""


@final
class _Array:
    """In the place of an array: holds shape, type and bytes."""

    def __init__(self, *_: Any) -> None:
        self.state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state

    def array(self, where: str) -> Array:
        """The array, copied out of its bytes."""
        match self.state:
            case (_, tuple() as shape, _Type(name="u1"), is_fortran, bytes() as content):
                try:
                    order = "F" if is_fortran else "C"
                    return np.frombuffer(content, np.uint8).reshape(shape, order=order).copy()  # type: ignore[call-overload,no-any-return]
                except (ValueError, TypeError) as error:
                    raise DataError(f"{where}: expected {shape} bytes, got {len(content)}") from error
        raise DataError(f"{where}: expected arrays of uint8, got an array of another form")


@final
class _Unpickler(pickle.Unpickler):
    """Finds the three names that a pickled array holds, each a stand-in, and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        """The stand-in for a name.

        Raises:
            DataError: for any other name.
        """
        found = _STAND_INS.get((module, name))
        if found is None:
            raise DataError(f"expected a pickle of arrays, got one that names {module}.{name}, which is not loaded")
        return found


_STAND_INS = {
    ("numpy.core.multiarray", "_reconstruct"): _Array,
    ("numpy", "ndarray"): "ndarray",  # an argument of the first, never called
    ("numpy", "dtype"): _Type,
}


def _text(key: Any) -> str:
    return key.decode("latin-1") if isinstance(key, bytes) else str(key)
