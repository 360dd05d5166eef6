"""J-HMDB (http://jhmdb.is.tue.mpg.de): 928 clips of 21 classes of HMDB51, with lists like its."""

from pathlib import Path

from ._found import Prepared, require_folder, videos_below
from ._hmdb51 import match_lists

_FOLDERS = ("videos", "ReCompress_Videos")


def prepare_jhmdb(root: Path, *, split: int = 1, lists: Path | None = None) -> Prepared:
    """Return the index of one official split.

    Args:
        root: Folder that holds `videos/<class>` or `ReCompress_Videos/<class>` (beside which
            the clips may also lie as images), or the class folders themselves.
        split: 1, 2 or 3.
        lists: Folder with `<class>_test_split<k>.txt`; without it they are looked for in
            `root` and two levels below.
    """
    require_folder(root)
    for folder in _FOLDERS:
        if (root / folder).is_dir():
            found = [f"{folder}/{path}" for path in videos_below(root / folder)]
            break
    else:
        found = videos_below(root)
    return match_lists(root, found, split=split, lists=lists)
