"""Let the parsers read what libFuzzer makes up, in search of what they do not expect.

    python -m fuzz                           # every parser for a minute
    python -m fuzz --seconds 1800            # half an hour each, as before a release
    python -m fuzz scores index              # these alone
    python -m fuzz scores build/fuzz/scores/crash-12ab   # one input again

Inputs start from those in `fuzz/corpus/NAME`; new ones are collected in `build/fuzz/NAME`. An input
that breaks a parser is kept there as `crash-...`, `timeout-...` or `oom-...`, and the exit code is
1 then. Needs `pip install '.[fuzz]'`.
"""

import argparse
import re
import subprocess
import sys
import tempfile
from hashlib import sha256
from pathlib import Path

from fuzz.targets import TARGETS, attempt, target_of

ROOT = Path(__file__).parents[1]
_SECONDS_OF_ONE_INPUT = 20
_MEGABYTES = 4096
_LARGEST_INPUT = 1 << 16


def fuzz_one(name: str, arguments: list[str]) -> None:
    """Fuzz a parser in this process, which libFuzzer ends."""
    import atheris

    with atheris.instrument_imports(include=["marey"]):
        target = target_of(name)

    folder = Path(tempfile.mkdtemp(prefix="marey-fuzz-"))

    def test(data: bytes) -> None:
        try:
            attempt(target, data, folder)
        except BaseException:
            # By ourselves: libFuzzer does not always come to it.
            (_found(name) / f"crash-{sha256(data).hexdigest()[:16]}").write_bytes(data)
            raise

    atheris.Setup([sys.argv[0], *arguments], test)
    atheris.Fuzz()


def _found(name: str) -> Path:
    folder = ROOT / "build" / "fuzz" / name
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def run(name: str, seconds: int) -> bool:
    """Fuzz a parser in a process of its own; return whether nothing broke it."""
    found = _found(name)
    flags = [
        f"-max_total_time={seconds}",
        f"-timeout={_SECONDS_OF_ONE_INPUT}",
        f"-rss_limit_mb={_MEGABYTES}",
        f"-max_len={_LARGEST_INPUT}",
        f"-artifact_prefix={found}/",
        "-print_final_stats=1",
        str(found),
        str(ROOT / "fuzz" / "corpus" / name),
    ]
    command = [sys.executable, "-m", "fuzz", "--one", name, *flags]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, errors="replace")  # noqa: S603
    tried = re.search(r"number_of_executed_units: (\d+)", done.stderr)
    sound = done.returncode == 0 and tried is not None
    print(f"{name}: {tried[1] if tried else '?'} inputs", "" if sound else "BROKEN", flush=True)
    if not sound:
        print(done.stdout[-4000:], done.stderr[-4000:], sep="\n", flush=True)
    return sound


def main() -> None:
    """Run from the command line."""
    if sys.argv[1:2] == ["--one"]:
        fuzz_one(sys.argv[2], sys.argv[3:])
        return
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="parsers (all)")
    parser.add_argument("--seconds", type=int, default=60, help="for each parser (60)")
    arguments = parser.parse_args()
    names = arguments.names or list(TARGETS)
    if len(names) == 2 and Path(names[1]).is_file():
        fuzz_one(names[0], [names[1]])
        return
    broken = [name for name in names if not run(name, arguments.seconds)]
    sys.exit(bool(broken))


if __name__ == "__main__":
    main()
