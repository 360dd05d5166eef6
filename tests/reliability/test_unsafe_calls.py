"""No call that can run what a file holds, in the package, its benchmarks and its tests."""

import ast
import functools
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FOLDERS = ("src", "benchmarks", "fuzz", "tests")

# Who may use what, and why. `pickle` in the package only names the error that torch raises.
ALLOWED = {
    ("src/marey/flow/_raft_weights.py", "import of pickle"),
    ("src/marey/importing/_pickled.py", "import of pickle"),
}

# Tests that open a pickle of their own: an object of ours as workers get it, and a hostile one, to
# see that it would have done harm.
OPENING = {"tests/data/test_source.py", "tests/importing/test_pickled.py"}

_MODULES = {"pickle", "_pickle", "cPickle", "cloudpickle", "dill", "joblib", "marshal", "shelve"}
_NEVER = {
    "eval",
    "exec",
    "os.popen",
    "os.system",
    "pandas.read_pickle",
    "subprocess.getoutput",
    "subprocess.getstatusoutput",
    "torch.hub.load",
    "torch.jit.load",
    "yaml.full_load",
    "yaml.load",
    "yaml.unsafe_load",
}


_WORDS = re.compile(
    "pickle|dill|joblib|marshal|shelve|eval|exec|system|popen|subprocess|hub|jit|load|yaml|shell"
    "|extractall|unpack_archive"
)


def hint(source: str) -> bool:
    """Return whether any unsafe use can be in the text: parsing takes longer than searching."""
    return bool(_WORDS.search(source))


def unsafe(source: str) -> Iterator[tuple[int, str]]:
    """Yield the line and the kind of each unsafe use; imports by other names are followed."""
    tree = ast.parse(source)
    names: dict[str, str] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.asname:
                    names[alias.asname] = alias.name
                if alias.name.partition(".")[0] in _MODULES:
                    yield node.lineno, f"import of {alias.name}"
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            for alias in node.names:
                names[alias.asname or alias.name] = f"{node.module}.{alias.name}"
            if str(node.module).partition(".")[0] in _MODULES:
                yield node.lineno, f"import of {node.module}"
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            yield from ((node.lineno, kind) for kind in _kinds(node, names))


def _kinds(call: ast.Call, names: dict[str, str]) -> Iterator[str]:
    first, dot, rest = ast.unparse(call.func).partition(".")
    called = names.get(first, first) + dot + rest
    words = {word.arg: ast.unparse(word.value) for word in call.keywords if word.arg}
    if called in _NEVER:
        yield called
    if called == "torch.load" and words.get("weights_only") != "True":
        yield "torch.load without weights_only=True"
    if words.get("allow_pickle", "False") != "False":
        yield "allow_pickle"
    if words.get("shell", "False") != "False":
        yield "shell"
    if called.endswith((".extractall", ".unpack_archive")) and "filter" not in words:
        yield "extraction without a filter"


@functools.cache
def code() -> dict[str, str]:
    """Return the text of every Python file, by its name in the project."""
    paths = (path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py")))
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in paths}


def test_no_unsafe_call_stands_outside_the_list() -> None:
    found = {
        (name, kind) for name, text in code().items() if hint(text) for _, kind in unsafe(text)
    }
    # Tests make pickles, to see them refused.
    made = {(name, kind) for name, kind in found if (name[:6], kind[-6:]) == ("tests/", "pickle")}
    assert found - made == ALLOWED


def test_pickles_are_opened_by_no_file_outside_the_list() -> None:
    opening = re.compile(r"\bpickle\.(load|loads|Unpickler)\b|from pickle import")
    own = Path(__file__).relative_to(ROOT).as_posix()
    opened = {name for name, text in code().items() if opening.search(text)} - {own}
    assert opened == OPENING


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        ("import torch as t\nt.load(x)", "torch.load without weights_only=True"),
        ("from torch import load\nload(x)", "torch.load without weights_only=True"),
        ("import torch\ntorch.load(x, weights_only=False)", "torch.load without weights_only=True"),
        ("import numpy as np\nnp.load(x, allow_pickle=True)", "allow_pickle"),
        ("import numpy as np\nnp.load(x, allow_pickle=trusted)", "allow_pickle"),
        ("from os import system as s\ns(x)", "os.system"),
        ("import subprocess\nsubprocess.run(x, shell=True)", "shell"),
        ("import pickle", "import of pickle"),
        ("from marshal import loads", "import of marshal"),
        ("import yaml\nyaml.load(x)", "yaml.load"),
        ("archive.extractall(x)", "extraction without a filter"),
        ("import shutil\nshutil.unpack_archive(x)", "extraction without a filter"),
        ("eval(x)", "eval"),
    ],
)
def test_the_search_finds_what_it_should(source: str, kind: str) -> None:
    assert hint(source)
    assert kind in [found for _, found in unsafe(source)]


def test_the_search_leaves_the_harmless_alone() -> None:
    source = """
import numpy as np, torch, subprocess
torch.load(x, weights_only=True)
np.load(x, allow_pickle=False)
model.eval()
subprocess.run([a, b])
archive.extractall(x, filter="data")
"""
    assert list(unsafe(source)) == []
