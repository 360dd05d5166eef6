import tomllib
from importlib.resources import files
from pathlib import Path

import pytest

from marey.models import OFF_NETWORKS, POOLED_OFF_NETWORKS, TSN_NETWORKS
from marey.settings import Optimisation, Training

RECIPES = sorted(Path(str(files("marey") / "recipes")).glob("*.toml"))


@pytest.mark.parametrize("recipe", RECIPES, ids=lambda path: path.stem)
def test_a_recipe_holds_settings_that_can_be_and_says_how_to_run_it(recipe: Path) -> None:
    text = recipe.read_text()
    settings = tomllib.loads(text)["train"]
    optim = Optimisation(**settings.pop("optim"))
    # What an OFF network starts from, and where flow is, is given with the command.
    start = {"init": Path("tsn")} if settings["model"].startswith("off_") else {}
    if settings.get("modality") == "flow":
        start["flow"] = Path("flow")
    training = Training(**settings, **start, optim=optim)
    assert training.model in TSN_NETWORKS | OFF_NETWORKS | POOLED_OFF_NETWORKS
    assert training.threads == 1  # Bytes depend on the threads; a recipe gives the same anywhere.
    assert recipe.stem in text or "benchmarks/" in text
