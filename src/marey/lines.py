"""Files of a JSON object a line, which may end anywhere: a crash can cut the last one short."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def whole_rows(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the objects in a file; a line that is damaged or something else is passed over."""
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(row, dict):
            yield row
