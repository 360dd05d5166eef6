"""Networks whose answers differ."""

from torch import nn


def telling_apart(network: nn.Module) -> nn.Module:
    """Give the classifiers weights that make logits differ; new ones are nearly zero."""
    for module in network.modules():
        if isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=2 / module.in_features**0.5)
            if module.bias is not None:
                nn.init.normal_(module.bias)
    return network.eval()
