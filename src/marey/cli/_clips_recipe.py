"""The recipe that `marey train` takes for a folder of clips when it is told of none."""

from importlib.resources import files
from pathlib import Path

from cyclopts import App
from cyclopts.argument import ArgumentCollection
from cyclopts.config import Toml

_RECIPE = "own-clips.toml"


def recipe_for_clips(app: App, commands: tuple[str, ...], arguments: ArgumentCollection) -> None:
    """Fill in what the command line leaves open, if it is `marey train FOLDER`."""
    if commands != ("train",):
        return
    given = [token.value for one in arguments if one.is_positional_only() for token in one.tokens]
    if given and Path(given[0]).is_dir():
        recipe = Path(str(files("marey") / "recipes" / _RECIPE))
        Toml(recipe, must_exist=True)(app, commands, arguments)
