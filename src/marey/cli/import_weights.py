"""`marey import`."""

import json as json_module
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from marey.errors import UsageError

from ._printable import printable


def import_weights(
    file: Path,
    /,
    *,
    modality: Literal["rgb", "flow", "rgbdiff"],
    classes: Path,
    out: Annotated[Path, Parameter(alias="-o")],
    model: Annotated[str | None, Parameter(alias="-m")] = None,
    json: bool = False,
    quiet: Annotated[bool, Parameter(alias="-q")] = False,
) -> None:
    """Make a checkpoint of the weights that others have trained.

    Example: `marey import rgb_off.caffemodel --modality rgb --classes classInd.txt --out
    rgb-off.safetensors`

    Read are Caffe's `.caffemodel` of TSN and OFF, and state dicts of PyTorch (`.pth`, `.pth.tar`,
    `.pt`, `.safetensors`): of tsn-pytorch, of the PyTorch port of OFF, and of BN-Inception on
    ImageNet, to begin training with. No code in them is run. What went where is printed; a
    tensor that is missing or left over is an error.

    Args:
        file: The weights. What kind of file it is, its content says.
        modality: What the network looks at.
        classes: File of the class names, one a line in the network's order, or an index.
        out: Checkpoint to write, a .safetensors file.
        model: Name of the network, if the names in the file tell it wrongly.
        json: Print the report as JSON, with the names of all tensors.
        quiet: Print nothing but the path of the checkpoint.
    """
    if out.suffix != ".safetensors":
        raise UsageError(f"--out must be a .safetensors file, got {out}")
    if out.is_dir():
        raise UsageError(f"--out must be a file, but {out} is a folder")
    if out.resolve() in (file.resolve(), classes.resolve()):
        raise UsageError(f"--out {out} is an input; name another file")

    from marey.importing import import_weights, read_classes
    from marey.models import save_checkpoint

    names = read_classes(classes)
    network, report, sha256 = import_weights(file, modality=modality, classes=names, model=model)
    origin = {"imported_from": report.source, "imported_sha256": sha256}
    save_checkpoint(network, out, classes=names, recipe=origin)
    if json:
        print(json_module.dumps({"model": str(out), **report.as_json()}, indent=2))
        return
    for line in [str(out)] if quiet else [str(out), *report.lines()]:
        print(printable(line))
