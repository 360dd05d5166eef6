"""`marey models`."""

import json as json_module
from typing import Annotated

from cyclopts import Parameter


def models(*, json: bool = False, quiet: Annotated[bool, Parameter(alias="-q")] = False) -> None:
    """List the trained networks that come with this package, and those that can be trained.

    Example: `marey models`

    Args:
        json: Print as JSON.
        quiet: Print the names alone.
    """
    from marey.models import (
        OFF_NETWORKS,
        POOLED_OFF_NETWORKS,
        TSN_NETWORKS,
        bundled_models,
        load_model,
    )

    trained = []
    for name, path in bundled_models().items():
        model = load_model(path)
        trained.append(
            {
                "name": name,
                "network": model.name,
                "modality": model.modality,
                "bytes": path.stat().st_size,
                "classes": list(model.classes),
                "accuracy": model.recipe.get("accuracy", {}),
            }
        )
    networks = [*TSN_NETWORKS, *OFF_NETWORKS, *POOLED_OFF_NETWORKS]
    if json:
        print(json_module.dumps({"trained": trained, "networks": networks}, indent=2))
        return
    for row in trained:
        if quiet:
            print(row["name"])
            continue
        size, classes = int(str(row["bytes"])) / 1e6, row["classes"]
        print(f"{row['name']}  {row['network']}, {row['modality']}, {size:.1f} MB")
        for protocol, accuracy in dict(row["accuracy"]).items():
            print(f"  {accuracy} on {protocol}")
        print(f"  tells apart: {', '.join(classes)}")
    if not quiet:
        print(f"networks to train: {', '.join(networks)}")
