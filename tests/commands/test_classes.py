"""The classes that options may name: the suite's own, concrete, and with arguments that an option can give."""

from reparam_suite.commands.classes import concrete_subclasses, either
from reparam_suite.data import Arrays, Digits, Loaders
from reparam_suite.data.base import DataModule
from reparam_suite.distributions import DiagonalNormal, FullCovarianceNormal, NormalFamily
from reparam_suite.estimators import Average, Bound, LogMeanExp


def test_abstract_classes_and_those_of_others_are_left_out():
    class Own(DiagonalNormal):
        pass

    assert concrete_subclasses(NormalFamily) == {DiagonalNormal, FullCovarianceNormal}
    assert Own not in concrete_subclasses(DiagonalNormal)
    assert concrete_subclasses(Bound) == {Average, LogMeanExp}


def test_a_class_whose_arguments_no_option_can_give_is_left_out():
    named = concrete_subclasses(DataModule)
    assert {Arrays, Digits} <= named
    assert Loaders not in named


def test_names_as_a_sentence_lists_them():
    assert either(["a"]) == "a"
    assert either(["a", "b", "c", "a"]) == "a, b or c"
