"""`marey prepare`."""

import json as json_module
import sys
from collections import Counter
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from marey.errors import MareyError, UsageError

from ._printable import printable
from ._progress import progress_bar

if TYPE_CHECKING:
    from marey.index import Index

_OFFICIAL = {"ucf101": 101, "hmdb51": 51, "jhmdb": 21}  # classes each has when it is whole
_DATASETS = (*_OFFICIAL, "folder", "csv", "tsn-list")


def prepare(
    dataset: str,
    root: Path,
    /,
    *,
    split: int = 1,
    out: Annotated[Path | None, Parameter(alias="-o")] = None,
    lists: Path | None = None,
    test_list: Path | None = None,
    classes: Path | None = None,
    shards: Path | None = None,
    shard_megabytes: float | None = None,
    dry_run: Annotated[bool, Parameter(alias="-n")] = False,
    json: bool = False,
    quiet: Annotated[bool, Parameter(alias="-q")] = False,
) -> None:
    """Make the index of a data set, with its official split.

    Example: `marey prepare ucf101 ~/data/ucf101 --split 1`

    Example: `marey prepare folder my-clips --shards my-shards`

    The path of the index is printed. Listed videos that are not there are all named and left
    out, and the exit code is then 3. The data set itself is only read.

    Args:
        dataset: ucf101, hmdb51, jhmdb, folder (one for each class), csv or tsn-list.
        root: Folder of the data set; for csv and tsn-list, the list itself.
        split: Official split of ucf101, hmdb51 and jhmdb: 1, 2 or 3.
        out: Index to write; otherwise `<dataset>-split<k>.csv` or `<root>.csv` right here.
        lists: Folder of the official lists, if it is not below the root. For csv and tsn-list
            the list, if its paths do not start from its own folder but from the root.
        test_list: List of test videos that goes with a tsn-list of training videos.
        classes: Class names of a tsn-list, one a line.
        shards: Folder to copy the videos to, in tar shards as WebDataset reads them. The index
            then names the videos inside them.
        shard_megabytes: Size of a shard; 512 unless given.
        dry_run: Write nothing; say what would be written.
        json: Print a summary as JSON instead of the path.
        quiet: Say nothing but what is missing.
    """
    from marey.index import (
        prepare_csv,
        prepare_folder,
        prepare_hmdb51,
        prepare_jhmdb,
        prepare_tsn_list,
        prepare_ucf101,
        write_index,
    )

    _check_options(dataset, lists=lists, test_list=test_list, classes=classes)
    if shard_megabytes is not None and (shards is None or not shard_megabytes > 0):
        raise UsageError("--shard-megabytes is a positive size, and goes with --shards FOLDER")
    if dataset == "ucf101":
        prepared = prepare_ucf101(root, split=split, lists=lists)
    elif dataset == "hmdb51":
        prepared = prepare_hmdb51(root, split=split, lists=lists)
    elif dataset == "jhmdb":
        prepared = prepare_jhmdb(root, split=split, lists=lists)
    elif dataset == "folder":
        prepared = prepare_folder(root)
    else:
        table, base = _list_file(root, lists)
        if dataset == "csv":
            prepared = prepare_csv(table, root=base)
        else:
            prepared = prepare_tsn_list(table, test=test_list, root=base, classes=classes)
    out = out or _default_name(dataset, root, split)
    _protect(out, [root, lists, test_list, classes])
    index = prepared.index
    counts = Counter(entry.split or "no split" for entry in index.entries)
    if not quiet:
        _tell(dataset, len(index.classes), counts, prepared.extra)
    for path in prepared.missing:
        print(f"missing: {printable(path)}", file=sys.stderr)
    if not dry_run:
        if shards is not None:
            index = _sharded(index, shards, shard_megabytes or 512.0, quiet=quiet)
        write_index(index, out)
    summary = {
        "index": str(out),
        "written": not dry_run,
        "videos": dict(sorted(counts.items())),
        "classes": list(index.classes),
        "missing": list(prepared.missing),
        "extra": list(prepared.extra),
    }
    print(json_module.dumps(summary, indent=2) if json else out)
    if prepared.missing:
        print(f"{len(prepared.missing)} listed videos are missing", file=sys.stderr)
        raise SystemExit(3)


def _sharded(index: "Index", folder: Path, megabytes: float, *, quiet: bool) -> "Index":
    """Write the videos of an index into shards, and return the index of those."""
    from marey.data import write_shards

    with progress_bar(quiet=quiet) as bar:
        task = bar.add_task("shards", total=None)
        return write_shards(
            index,
            folder,
            megabytes=megabytes,
            each=lambda done, total: bar.update(task, completed=done, total=total),
        )


def _check_options(
    dataset: str, *, lists: Path | None, test_list: Path | None, classes: Path | None
) -> None:
    """Refuse a data set there is no word for, and options that would do nothing."""
    if dataset not in _DATASETS:
        close = get_close_matches(dataset.lower(), _DATASETS, n=1)
        hint = f"; did you mean {close[0]!r}?" if close else ""
        known = ", ".join(_DATASETS)
        raise UsageError(f"{dataset!r} is not a data set{hint}; there are {known}")
    if dataset == "folder" and lists:
        raise UsageError("a folder needs no --lists: its folders are the classes")
    for name, value in (("--test-list", test_list), ("--classes", classes)):
        if value and dataset != "tsn-list":
            raise UsageError(f"{name} belongs to tsn-list; {dataset} has no use for it")


def _list_file(root: Path, lists: Path | None) -> tuple[Path, Path | None]:
    """Return the list, and the folder its paths start from if that is not its own."""
    if lists is None and root.is_dir():
        raise UsageError(
            f"{root} is a folder: give the list instead, or add --lists LIST if its paths "
            "start from this folder"
        )
    table, base = (root, None) if lists is None else (lists, root)
    if not table.is_file():
        raise UsageError(f"{table}: no such list")
    return table, base


def _default_name(dataset: str, root: Path, split: int) -> Path:
    if dataset in _OFFICIAL:
        return Path(f"{dataset}-split{split}.csv")
    whole = root.resolve()
    return Path(f"{whole.name if whole.is_dir() else whole.stem}.csv")


def _protect(out: Path, inputs: list[Path | None]) -> None:
    """Refuse to write over the user's lists, or over anything that is not an index."""
    from marey.index import read_index

    if any(path and path.resolve() == out.resolve() for path in inputs):
        raise UsageError(f"{out} is an input; name another file with --out")
    if out.exists():
        try:
            read_index(out)
        except MareyError as error:
            raise UsageError(
                f"{out} is there already and is no index; remove it, or name another file "
                "with --out"
            ) from error


def _tell(dataset: str, classes: int, counts: Counter[str], extra: Sequence[str]) -> None:
    """Say on stderr what the index holds, and what is odd about the data set."""
    videos = ", ".join(f"{count} {split}" for split, count in sorted(counts.items(), reverse=True))
    print(f"{dataset}: {classes} classes; videos: {videos}", file=sys.stderr)
    if classes != (whole := _OFFICIAL.get(dataset, classes)):
        print(f"note: {dataset} has {whole} classes, these lists name {classes}", file=sys.stderr)
    for path in extra:
        print(f"note: in no list, left out: {printable(path)}", file=sys.stderr)
