"""The command line: one module per command, imported only when its command runs.

Data goes to stdout, messages to stderr. Exit codes: 0 done; 1 failed; 2 wrong usage; 3 done,
but some inputs could not be used, each named; 4 refused for safety; 130 and 143 interrupted.
"""

import os
import signal
import sys
import tomllib
from importlib.resources import files
from pathlib import Path
from types import FrameType
from typing import Annotated

from cyclopts import App, Parameter
from cyclopts.config import Toml
from rich.console import Console

from marey.errors import MareyError, UsageError

from ._clips_recipe import recipe_for_clips

_STDIN = "/dev/stdin"

app = App(
    name="marey",
    help="Recognise actions in video with optical-flow guided features.\n\n"
    "Example: `marey predict clip.mp4`",
    help_format="markdown",
    default_parameter=Parameter(negative=(), consume_multiple=True),
    error_console=Console(stderr=True),
    suppress_keyboard_interrupt=False,
)
app.meta.suppress_keyboard_interrupt = False
app.command("marey.cli.predict:predict")
app.command("marey.cli.watch:watch")
app.command("marey.cli.serve:serve")
app.command("marey.cli.prepare:prepare")
app.command("marey.cli.check:check")
app.command("marey.cli.flow:flow")
app.command("marey.cli.train:train")
app.command("marey.cli.test:test")
app.command("marey.cli.fuse:fuse")
app.command("marey.cli.report:report")
app.command("marey.cli.import_weights:import_weights", name="import")
app.command("marey.cli.export:export")
app.command("marey.cli.models:models")
app.command("marey.cli.doctor:doctor")
app.command("marey.cli.bench:bench")


@app.meta.default
def _launch(
    *tokens: Annotated[str, Parameter(show=False, allow_leading_hyphen=True)],
    recipe: Annotated[
        Path | None,
        Parameter(
            help="TOML file of settings, or the name of one that comes with this package; one "
            "table per command. Flags override it."
        ),
    ] = None,
) -> None:
    if recipe is not None:
        path = _recipe_file(recipe)
        _check_tables(path)
        app.config = (Toml(path, must_exist=True),)
    else:
        app.config = (recipe_for_clips,)
    app(tokens)


def _recipe_file(recipe: Path) -> Path:
    """Return the file of a recipe given by path or by name."""
    if recipe.exists():
        return recipe
    ours = files("marey") / "recipes"
    named = Path(str(ours / f"{recipe}.toml"))
    if named.exists():
        return named
    names = sorted(path.name.removesuffix(".toml") for path in ours.iterdir())
    raise UsageError(
        f"{recipe}: no such recipe file, and none of that name comes with this package; "
        f"those that do: {', '.join(name for name in names if not name.startswith('_'))}"
    )


def _check_tables(recipe: Path) -> None:
    """Refuse tables that name no command; cyclopts would skip them without a word."""
    try:
        tables = tomllib.loads(recipe.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as error:
        raise UsageError(f"{recipe}: not a TOML file: {error}") from error
    commands = [name for name in app if not name.startswith("-")]
    for table in tables:
        if table not in commands:
            raise UsageError(
                f"{recipe}: [{table}] is not one of the commands {', '.join(commands)}"
            )


def main(arguments: list[str] | None = None) -> None:
    """Run the command line, turn the user's mistakes into one-line messages, and exit."""
    signal.signal(signal.SIGTERM, _terminated)
    words = sys.argv[1:] if arguments is None else arguments
    try:
        # The parser would take a lone - for an option without a name.
        app.meta([_STDIN if word == "-" else word for word in words])
    except MareyError as error:
        _leave(f"marey: {error}", error.exit_code)
    except BrokenPipeError:
        # The reader of our output went away, as `head` does; there is nobody left to tell.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(0)
    except OSError as error:
        _leave(f"marey: {error}", 1)
    except KeyboardInterrupt:
        _leave("marey: interrupted; the same command goes on from here", 130)
    finally:
        app.config = ()


def _leave(message: str, code: int) -> None:
    print(message, file=sys.stderr)
    sys.exit(code)


def _terminated(number: int, frame: FrameType | None) -> None:
    _leave("marey: terminated; the same command goes on from here", 128 + number)
