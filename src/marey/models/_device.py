"""Where a network runs."""

import torch

from marey.errors import UsageError


def choose_device(name: str) -> torch.device:
    """Return the device by name; `auto` is the GPU if there is one, else the CPU.

    Raises:
        UsageError: There is no such device.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise UsageError(f"no device is called {name!r}; there are auto, cpu and cuda") from error
    if device.type == "cuda" and not torch.cuda.is_available():
        raise UsageError(f"device {name} was asked for, but torch sees no GPU; try cpu")
    return device
