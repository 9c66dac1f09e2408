"""Shapes that the estimators' signatures declare are checked in every test."""

from jaxtyping import install_import_hook

install_import_hook("reparam_suite.estimators", "beartype.beartype")
