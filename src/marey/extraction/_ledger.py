"""What is known of an extraction that was stopped: whose folder it is, and what was done."""

import json
from dataclasses import asdict
from pathlib import Path

from marey.durable import write_text
from marey.errors import UsageError, VideoError
from marey.flow import SETTINGS, FlowReader, making_of

from ._task import Extracted, Extraction, Task, result_of

LEDGER = "ledger.jsonl"


def claim(folder: Path, extraction: Extraction) -> None:
    """Write whose folder it is, or refuse one of other flow."""
    settings = {
        "flow": making_of(extraction.method).as_json(),
        "pairs": extraction.pairs,
        "form": extraction.form,
    }
    text = json.dumps(settings, indent=2, sort_keys=True) + "\n"
    file = folder / SETTINGS
    if not file.exists():
        # A crash may have left the beginning of our own, whose name is hidden.
        if any(path.name != "lock" and path.name[0] != "." for path in folder.iterdir()):
            raise UsageError(
                f"{folder} holds something that `marey flow` did not write; give another --out"
            )
        write_text(file, text)
        return
    if file.read_text(encoding="utf-8") != text:
        raise UsageError(
            f"{folder} holds other flow (see {file}); give another --out, or its own method, "
            "--for and --format"
        )


def read_ledger(file: Path) -> dict[str, Extracted]:
    """Return what earlier runs say of each video; a line cut short by a crash says nothing."""
    rows: dict[str, Extracted] = {}
    if not file.exists():
        return rows
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            row = Extracted(**json.loads(line))
        except (ValueError, TypeError):
            continue
        rows[row.video] = row
    return rows


def line_of(row: Extracted) -> str:
    return json.dumps(asdict(row))


def known(task: Task, ledger: dict[str, Extracted]) -> Extracted | None:
    """Return what became of a video earlier, if its flow is still there and it is the same."""
    try:
        now = task.file.stat().st_size
    except OSError:
        now = 0
    row = ledger.get(task.video)
    if row is not None and row.source_bytes == now:
        if row.status == "unusable" or task.target.exists():
            return row
        return None
    if task.extraction.form != "video" or not task.target.exists():
        return None
    # Stopped between the two: the file is whole, but the ledger does not know yet.
    try:
        flow = FlowReader(task.target)
    except VideoError:
        return None
    if flow.making != making_of(task.extraction.method) or flow.source_bytes != now:
        return None
    return result_of(task, flow.reason, flow.written)
