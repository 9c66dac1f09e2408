"""Data sets that lie on the training device as one array: batches are slices, binarized as each epoch begins."""

from reparam_suite.data.arrays import Arrays
from reparam_suite.data.base import ArrayDataModule, DataError
from reparam_suite.data.digits import Digits
from reparam_suite.data.mnist import MNIST, BinarizedMNIST, FashionMNIST
from reparam_suite.data.omniglot import Omniglot

__all__ = [
    "MNIST",
    "ArrayDataModule",
    "Arrays",
    "BinarizedMNIST",
    "DataError",
    "Digits",
    "FashionMNIST",
    "Omniglot",
]
