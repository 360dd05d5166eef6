"""Small data, a network that has learnt from it, and what each command leaves."""

from collections.abc import Callable, Iterator

import pytest
from broken_runs import Server, Tree, tree
from small_data import CLASSES, TRAINING, Data, film


@pytest.fixture(scope="session")
def marey(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    server = Server(tmp_path_factory.mktemp("marey"))
    yield server
    server.close()


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory, marey: Server) -> Data:
    root = tmp_path_factory.mktemp("data")
    for label, step in zip(CLASSES, (-3, 3), strict=True):
        for split, count in (("train", 3), ("test", 2)):
            for number in range(count):
                seed = number if split == "train" else 10 + number
                film(root / "films" / split / label / f"{number}.avi", step=step, seed=seed)
    made = Data(root)
    for words in (
        ("prepare", "folder", root / "films", "--out", made.index),
        ("train", made.index, "--out", root / "run", *TRAINING),
        ("test", made.model, made.index, "--out", made.scores, "--snippets=3", "--crops=1"),
    ):
        ended = marey.run(*words, at=root)
        assert ended.code == 0, ended.said
    return made


@pytest.fixture(scope="session")
def graph(marey: Server, data: Data) -> None:
    """Make the graph of the network once; `export` would make it each time."""
    assert marey.ask(graph=str(data.model)) == "made"


@pytest.fixture(scope="session")
def whole(
    marey: Server, data: Data, graph: None, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Tree]:
    """Return what a command leaves that nothing happens to."""
    found: dict[str, Tree] = {}

    def whole(command: str) -> Tree:
        if command not in found:
            # As deep as where the tests run it: an index has paths from its own place.
            folder = tmp_path_factory.mktemp("whole") / "at"
            ended = marey.run(*data.words(command), at=folder)
            assert ended.code == 0, ended.said
            found[command] = tree(folder)
        return found[command]

    return whole
