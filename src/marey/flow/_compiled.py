"""Functions compiled for the processor when they are first called, without a compiler installed."""

import inspect
from collections.abc import Callable
from typing import Any

from numba import njit
from numba.core.compiler import CompilerBase, DefaultPassBuilder


class _Apart(CompilerBase):
    """Compiles functions whose arrays never overlap, which alone lets their loops be vectors."""

    def define_pipelines(self) -> list[Any]:
        """Return the usual pipeline."""
        self.state.flags.noalias = True
        return [DefaultPassBuilder.define_nopython_pipeline(self.state)]


def compiled(function: Callable[..., Any], *, apart: bool = False) -> Callable[..., Any]:
    """Return the function compiled, and kept for the next time where that is possible."""
    options: dict[str, Any] = {"fastmath": True, "nogil": True, "error_model": "numpy"}
    if apart:
        options["pipeline_class"] = _Apart
    function = inspect.unwrap(function)  # Checks of types that tests wrap it in do not compile.
    try:
        return njit(cache=True, **options)(function)  # type: ignore[no-any-return]
    except RuntimeError:  # No folder that can be written to.
        return njit(**options)(function)  # type: ignore[no-any-return]


def compiled_apart(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return the function compiled, its arrays taken not to overlap."""
    return compiled(function, apart=True)
