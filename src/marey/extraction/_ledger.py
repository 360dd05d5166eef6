"""What is known of an extraction that was stopped: whose folder it is, and what was done."""

import json
from dataclasses import asdict
from pathlib import Path

from marey.addresses import is_address
from marey.durable import write_text
from marey.errors import UsageError, VideoError
from marey.flow import SETTINGS, FlowReader, making_of
from marey.lines import whole_rows

from ._task import Extracted, Extraction, Task, bytes_of, result_of, wanted

LEDGER = "ledger.jsonl"
_KINDS = {
    **dict.fromkeys(("video", "status", "reason"), str),
    **dict.fromkeys(("pairs", "bytes", "source_bytes"), int),
}


def refuse_others(folder: Path, extraction: Extraction) -> None:
    """Refuse a folder of other flow, or of something else; write nothing.

    Raises:
        UsageError: The folder is not ours.
    """
    file = folder / SETTINGS
    if file.exists():
        if file.read_bytes() != _settings(extraction).encode():
            raise UsageError(
                f"{folder} holds other flow (see {file}); give another --out, or its own method, "
                "--for and --format"
            )
        return
    # A crash may have left the beginning of our own, whose name is hidden.
    names = [path.name for path in folder.iterdir()] if folder.exists() else []
    if any(name != "lock" and name[0] != "." for name in names):
        raise UsageError(
            f"{folder} holds something that `marey flow` did not write; give another --out"
        )


def claim(folder: Path, extraction: Extraction) -> None:
    """Write whose folder it is, or refuse one that is not ours."""
    refuse_others(folder, extraction)
    if not (folder / SETTINGS).exists():
        write_text(folder / SETTINGS, _settings(extraction))


def _settings(extraction: Extraction) -> str:
    settings = {
        "flow": making_of(extraction.method).as_json(),
        "pairs": extraction.pairs,
        "form": extraction.form,
    }
    return json.dumps(settings, indent=2, sort_keys=True) + "\n"


def read_ledger(file: Path) -> dict[str, Extracted]:
    """Return what earlier runs say of each video; a damaged line says nothing."""
    rows: dict[str, Extracted] = {}
    if not file.exists():
        return rows
    for row in whole_rows(file):
        if {name: type(value) for name, value in row.items()} == _KINDS:
            rows[row["video"]] = Extracted(**row)
    return rows


def line_of(row: Extracted) -> str:
    return json.dumps(asdict(row))


def known(task: Task, ledger: dict[str, Extracted]) -> Extracted | None:
    """Return what became of a video earlier, if its flow is still there and it is the same."""
    row = ledger.get(task.video)
    now = bytes_of(task.file)
    if is_address(task.video) and row is not None and row.status != "unusable":
        now = row.source_bytes  # What lies there is not asked again.
    if row is not None and row.source_bytes == now:
        if row.status == "unusable":
            return row
        return row if task.target.exists() and _has_stretches(task) else None
    if task.extraction.form != "video":
        return None
    # Stopped between the two: the file is whole, but the ledger does not know yet.
    try:
        flow = FlowReader(task.target)
    except VideoError:
        return None
    if flow.making != making_of(task.extraction.method) or flow.source_bytes != now:
        return None
    return result_of(task, flow.reason, flow.written) if _has_stretches(task) else None


def _has_stretches(task: Task) -> bool:
    """Tell whether kept flow has what testing reads of stretches, which may be new ones."""
    if task.extraction.pairs == "all" or set(task.stretches) == {(None, None)}:
        return True
    try:
        flow = FlowReader(task.target)
        return set(wanted(flow, task)) <= set(flow.pairs)
    except VideoError:
        return False
