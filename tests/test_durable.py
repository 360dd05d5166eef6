import errno
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from marey.durable import alone_in, append_line, complete_file, complete_folder, write_text


def test_a_file_has_its_old_content_until_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("old")
    with complete_file(path) as temporary:
        temporary.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_folders_are_made(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b" / "notes.txt"
    write_text(path, "text")
    assert path.read_text() == "text"


def test_the_temporary_keeps_the_ending_that_writers_go_by(tmp_path: Path) -> None:
    with complete_file(tmp_path / "film.mp4") as temporary:
        temporary.touch()
        assert temporary.suffix == ".mp4"
        assert temporary.name.startswith(".")


def test_after_an_exception_the_old_file_is_left_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("old")

    def interrupted() -> None:
        with complete_file(path) as temporary:
            temporary.write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("call", ["fsync", "replace"])
def test_a_full_disk_leaves_the_old_file_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    path = tmp_path / "notes.txt"
    path.write_text("old")
    monkeypatch.setattr(os, call, full)
    with pytest.raises(OSError, match="No space left"):
        write_text(path, "new")
    monkeypatch.undo()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_does_not_fit_on_the_disk_is_named_with_the_room_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    for write, name in ((write_text, "notes.txt"), (append_line, "ledger")):
        with pytest.raises(
            OSError, match=r"needs more than the [\d,]+ bytes that are free"
        ) as caught:
            write(tmp_path / name, "new")
        assert caught.value.filename == str(tmp_path / name)


def test_an_error_of_another_file_keeps_its_name(tmp_path: Path) -> None:
    other = str(tmp_path / "other")
    with pytest.raises(OSError, match="too long") as caught, complete_file(tmp_path / "notes.txt"):
        raise OSError(errno.ENOSPC, "too long", other)
    assert caught.value.filename == other


def test_bytes_reach_the_disk_before_the_name_and_the_name_before_the_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = []
    fsync, replace = os.fsync, os.replace

    def logged_fsync(handle: int) -> None:
        done.append(f"sync {Path(f'/proc/self/fd/{handle}').readlink().name}")
        fsync(handle)

    def logged_replace(source: str, target: str) -> None:
        done.append(f"name {Path(target).name}")
        replace(source, target)

    monkeypatch.setattr(os, "fsync", logged_fsync)
    monkeypatch.setattr(os, "replace", logged_replace)
    write_text(tmp_path / "notes.txt", "new")
    first, *rest = done
    assert first.startswith("sync .")
    assert first.endswith(".partial.txt")
    assert rest == ["name notes.txt", f"sync {tmp_path.name}"]


def test_a_kill_leaves_the_old_file_and_the_next_write_clears_up(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_text("old")
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from marey.durable import complete_file\n"
        "with complete_file(Path(sys.argv[1])) as temporary:\n"
        "    temporary.write_text('half of something long')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert path.read_text() == "old"
    assert len(list(tmp_path.iterdir())) == 2
    write_text(path, "new")
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


WRITE = """
import sys
from pathlib import Path
from marey.durable import complete_file
with complete_file(Path(sys.argv[1])) as temporary:
    print("in", flush=True)
    temporary.write_text(sys.stdin.readline())
"""


def test_a_second_writer_of_a_file_waits_for_the_first(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    command = [sys.executable, "-c", WRITE, str(path)]
    pipe = subprocess.PIPE
    with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as first:
        assert first.stdout is not None
        assert first.stdout.readline() == "in\n"
        with subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True) as second:
            time.sleep(1)
            assert second.poll() is None
            first.communicate("first")
            assert second.stdout is not None
            assert second.stdout.readline() == "in\n"
            assert path.read_text() == "first"
            second.communicate("second")
    assert (first.returncode, second.returncode) == (0, 0)
    assert path.read_text() == "second"
    assert list(tmp_path.iterdir()) == [path]


def test_text_is_utf_8_with_plain_newlines(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    write_text(path, "à\nb\n")
    assert path.read_bytes() == b"\xc3\xa0\nb\n"


def test_a_name_as_long_as_names_can_be_is_written(tmp_path: Path) -> None:
    path = tmp_path / ("n" * 251 + ".txt")
    write_text(path, "text")
    assert path.read_text() == "text"


# Folders.


def filled(path: Path, text: str = "new") -> None:
    with complete_folder(path) as temporary:
        (temporary / "notes.txt").write_text(text)


def test_a_folder_appears_when_the_block_ends(tmp_path: Path) -> None:
    path = tmp_path / "a" / "b"
    with complete_folder(path) as temporary:
        (temporary / "notes.txt").write_text("new")
        assert not path.exists()
    assert (path / "notes.txt").read_text() == "new"
    assert list(path.parent.iterdir()) == [path]


def test_a_folder_that_is_there_is_replaced_with_all_that_is_in_it(tmp_path: Path) -> None:
    path = tmp_path / "a"
    filled(path, "old")
    (path / "deep").mkdir()
    (path / "deep" / "others.txt").touch()
    with complete_folder(path) as temporary:
        (temporary / "list.txt").touch()
        assert (path / "notes.txt").read_text() == "old"
    assert [file.name for file in path.iterdir()] == ["list.txt"]
    assert list(tmp_path.iterdir()) == [path]


def test_after_an_exception_the_old_folder_is_left_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a"
    filled(path, "old")

    def interrupted() -> None:
        with complete_folder(path) as temporary:
            (temporary / "notes.txt").write_text("half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert (path / "notes.txt").read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_leaves_no_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*arguments: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        filled(tmp_path / "a")
    monkeypatch.undo()
    assert list(tmp_path.iterdir()) == []


def test_files_reach_the_disk_before_their_folder_has_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = []
    fsync, rename = os.fsync, os.rename

    def logged_fsync(handle: int) -> None:
        done.append(f"sync {Path(f'/proc/self/fd/{handle}').readlink().name}")
        fsync(handle)

    def logged_rename(source: str, target: str) -> None:
        done.append(f"name {Path(target).name}")
        rename(source, target)

    monkeypatch.setattr(os, "fsync", logged_fsync)
    monkeypatch.setattr(os, "rename", logged_rename)
    filled(tmp_path / "a")
    first, second, *rest = done
    assert first == "sync notes.txt"
    assert second.endswith(".partial")
    assert rest == ["name a", f"sync {tmp_path.name}"]


def test_what_a_kill_leaves_is_cleared_up_by_the_next_writing(tmp_path: Path) -> None:
    path = tmp_path / "a"
    code = (
        "import os, signal, sys; from pathlib import Path\n"
        "from marey.durable import complete_folder\n"
        "with complete_folder(Path(sys.argv[1])) as temporary:\n"
        "    (temporary / 'half.txt').write_text('half')\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    ended = subprocess.run([sys.executable, "-c", code, str(path)], check=False)
    assert ended.returncode == -signal.SIGKILL
    assert not path.exists()
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".")
    assert ".partial" in left.name
    filled(path)
    assert [file.name for file in path.iterdir()] == ["notes.txt"]
    assert not left.exists()


# One process at a time.


HOLD = """
import sys, time
from pathlib import Path
from marey.durable import alone_in
with alone_in(Path(sys.argv[1])):
    print("in", flush=True)
    sys.stdin.readline()
    (Path(sys.argv[1]) / "done").touch()
"""


def hold(folder: Path) -> subprocess.Popen[str]:
    """Return a process that works alone in a folder until it reads a line."""
    command = [sys.executable, "-c", HOLD, str(folder)]
    process = subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "in\n"
    return process


def test_a_second_process_waits_for_the_first(tmp_path: Path) -> None:
    with hold(tmp_path) as first:
        command = [sys.executable, "-c", HOLD, str(tmp_path)]
        with subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        ) as second:
            time.sleep(1)
            assert second.poll() is None
            assert not (tmp_path / "done").exists()
            first.communicate("go\n")
            assert second.communicate(timeout=30)[0] == "in\n"
            assert second.returncode == 0


def test_a_killed_process_does_not_keep_others_waiting(tmp_path: Path) -> None:
    with hold(tmp_path) as first:
        first.kill()
        first.wait()
    with alone_in(tmp_path):
        assert sorted(path.name for path in tmp_path.iterdir()) == ["lock"]


def test_working_alone_makes_the_folder_and_can_be_done_again(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b"
    for _ in range(2):
        with alone_in(folder):
            assert folder.is_dir()


def test_a_folder_may_be_deleted_while_another_process_waits(tmp_path: Path) -> None:
    folder = tmp_path / "work"
    with hold(folder) as first:
        command = [sys.executable, "-c", HOLD, str(folder)]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as second:
            time.sleep(1)
            (folder / "lock").unlink()
            folder.rmdir()
            first.kill()
            assert second.communicate("go\n", timeout=30)[0] == "in\n"
    assert sorted(path.name for path in folder.iterdir()) == ["done", "lock"]


# Lines.


def test_lines_are_added_as_they_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda handle: (synced.append(handle), fsync(handle)))
    path = tmp_path / "ledger"
    append_line(path, "à")
    assert path.read_bytes() == b"\xc3\xa0\n"
    append_line(path, "b")
    assert path.read_bytes() == b"\xc3\xa0\nb\n"
    assert len(synced) == 2


def test_a_line_cut_short_does_not_spoil_the_next(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    path.write_bytes(b"whole\ncut sh")
    append_line(path, "next")
    assert path.read_bytes() == b"whole\ncut sh\nnext\n"
