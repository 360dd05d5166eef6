"""Checks of shapes are left out while a network is traced, and come back."""

import warnings

import jaxtyping
import pytest

from marey.backends._traced import unchecked


def test_checks_and_warnings_are_left_out_and_come_back_after_an_error() -> None:
    before = jaxtyping.config.jaxtyping_disable
    with unchecked():
        assert jaxtyping.config.jaxtyping_disable
        warnings.warn("of the tracer", stacklevel=1)
    with pytest.raises(ValueError, match="of the tracer"), unchecked():
        raise ValueError("of the tracer")
    assert jaxtyping.config.jaxtyping_disable == before
    with pytest.warns(UserWarning, match="seen again"):
        warnings.warn("seen again", stacklevel=1)


def test_within_another_the_inner_one_leaves_checks_out() -> None:
    before = jaxtyping.config.jaxtyping_disable
    with unchecked():
        with unchecked():
            pass
        assert jaxtyping.config.jaxtyping_disable
    assert jaxtyping.config.jaxtyping_disable == before
