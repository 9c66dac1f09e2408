"""Data sets: our own, stored on the training device, a user's arrays and loaders, and any LightningDataModule."""

from reparam_suite.data.adapter import AdaptedDataModule, adapted
from reparam_suite.data.arrays import Arrays, ArraysInMemory
from reparam_suite.data.base import DataModule, Split, image_shape_of
from reparam_suite.data.colour import CIFAR10, SVHN
from reparam_suite.data.colour_patches import ColourPatches
from reparam_suite.data.digits import Digits
from reparam_suite.data.image_folder import ImageFolder
from reparam_suite.data.in_memory import ArrayDataModule
from reparam_suite.data.kinds import Kind
from reparam_suite.data.loaders import Loaders
from reparam_suite.data.mapped_arrays import MappedArrays
from reparam_suite.data.mnist import MNIST, BinarizedMNIST, FashionMNIST
from reparam_suite.data.omniglot import Omniglot
from reparam_suite.data.positioned import PositionedDataModule
from reparam_suite.data.reading import datum_of
from reparam_suite.data.rows import Rows
from reparam_suite.data.splits import Splits
from reparam_suite.data.streamed import StreamedDataModule
from reparam_suite.data.streamed_arrays import StreamedArrays
from reparam_suite.runtime.errors import DataError

__all__ = [
    "CIFAR10",
    "MNIST",
    "SVHN",
    "AdaptedDataModule",
    "ArrayDataModule",
    "Arrays",
    "ArraysInMemory",
    "BinarizedMNIST",
    "ColourPatches",
    "DataError",
    "DataModule",
    "Digits",
    "FashionMNIST",
    "ImageFolder",
    "Kind",
    "Loaders",
    "MappedArrays",
    "Omniglot",
    "PositionedDataModule",
    "Rows",
    "Split",
    "Splits",
    "StreamedArrays",
    "StreamedDataModule",
    "adapted",
    "datum_of",
    "image_shape_of",
]
