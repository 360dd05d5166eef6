"""What the tensors of our networks are called by others.

Caffe's `inception_3a/3x3_reduce` is `inception_3a_3x3_reduce` in PyTorch, and that spelling is
the one used here; `classifier` stands for all the names of the backbone's classifier.
"""

import re

TAPS = {28: ("3a", "3b"), 14: ("3c", "4a", "4b", "4c", "4d"), 7: ("5a", "5b")}
"""Blocks of the backbone that the OFF units of each level read."""

FIRST = "conv1_7x7_s2.weight"
CLASSIFIER = "classifier"
HEADS = {7: "fc_action_motion", 14: "fc_action_motion_14", 28: "fc_action_motion_28"}
SHARED_GRADIENT = "sobel_edge_diagonal.conv"
COUNTER = "num_batches_tracked"

_CLASSIFIERS = ("fc_action", "last_linear", "fc", "new_fc")
_PREFIXES = ("module.", "base_model.")  # of several GPUs at once, and of tsn-pytorch

# Of the layers of a level: what joins the units, and the convolutions of each block.
_LAYERS = {
    "level28.stem": "motion_conv_trans_28",
    "level28.blocks.0.conv1": "motion_conv1_trans_28a",
    "level28.blocks.0.conv2": "motion_conv2_trans_28a",
    "level28.blocks.0.conv3": "motion_conv3_trans_28a",
    "level28.blocks.0.shortcut": "motion_conv_branch_28a",
    "level28.blocks.1.conv1": "motion_conv1_trans_28b",
    "level28.blocks.1.conv2": "motion_conv2_trans_28b",
    "level28.blocks.1.conv3": "motion_conv3_trans_28b",
    "level28.blocks.2.conv1": "motion_conv1_trans_28c",
    "level28.blocks.2.conv2": "motion_conv2_trans_28c",
    "level28.blocks.2.conv3": "motion_conv3_trans_28c",
    "level14.stem": "motion_conv_trans_14",
    "level14.blocks.0.conv1": "motion_conv1_trans_14a",
    "level14.blocks.0.conv2": "motion_conv2_trans_14a",
    "level14.blocks.0.conv3": "motion_conv3_trans_14a",
    "level14.blocks.0.shortcut": "motion_conv_expand_trans_14a",
    "level14.blocks.1.conv1": "motion_conv1_trans_14b",
    "level14.blocks.1.conv2": "motion_conv2_trans_14b",
    "level14.blocks.1.conv3": "motion_conv3_trans_14b",
    "level7.stem": "motion_conv_trans",
    "level7.blocks.0.conv1": "motion_conv1_trans",
    "level7.blocks.0.conv2": "motion_conv2_trans",
    "level7.blocks.0.conv3": "motion_conv3_trans",
    "level7.blocks.0.shortcut": "motion_conv_branch_trans",
} | {f"level{level}.head": head for level, head in HEADS.items()}
_UNIT = re.compile(r"level(\d+)\.units\.(\d+)\.(reduce|trained)")


def plain_name(theirs: str) -> str:
    """Return the one spelling of a tensor's name, without prefixes."""
    name = theirs
    while name.startswith(_PREFIXES):
        name = name.partition(".")[2]
    layer, _, kind = name.rpartition(".")
    layer = re.sub("[/-]", "_", layer)
    return f"{CLASSIFIER if layer in _CLASSIFIERS else layer}.{kind}"


def their_names(ours: str, *, spatial: bool) -> tuple[str, ...]:
    """Return the plain names of what makes up a tensor of ours, from its first row on.

    Args:
        ours: Name in the state dict of a TSN or OFF network on BN-Inception.
        spatial: Whether its OFF units take a spatial gradient.
    """
    layer, _, kind = ours.removeprefix("tsn.").rpartition(".")
    if layer == "head":
        return (f"{CLASSIFIER}.{kind}",)
    if layer.startswith("backbone."):
        _, name, part = layer.split(".")
        return (f"{name}_bn.{kind}" if part == "bn" else f"{name}.{kind}",)
    layer = layer.removeprefix("branch.")
    unit = _UNIT.fullmatch(layer)
    if unit is None:
        return (f"{_LAYERS[layer]}.{kind}",)
    tap = TAPS[int(unit[1])][int(unit[2])]
    if unit[3] == "trained":
        return (f"motion_spatial_grad_{tap}.{kind}",)
    temporal = f"motion_conv_gen_{tap}.{kind}"
    return (f"motion_spatial_down_{tap}.{kind}", temporal) if spatial else (temporal,)
