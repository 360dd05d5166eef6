"""A cluster of Ray on this computer: says its address, and does what it is told on stdin.

`add` adds a node of one core; `kill` ends the last one as a power cut would.
"""

import os
import signal
import sys
from contextlib import suppress
from pathlib import Path

STORE_BYTES = 100 << 20


def main() -> None:
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "object_store_memory": STORE_BYTES}
    cluster = Cluster(initialize_head=True, head_node_args={**node, "include_dashboard": False})
    sys.stdout.write(f"{cluster.address}\n")
    sys.stdout.flush()
    added = []
    for line in sys.stdin:
        if line.strip() == "add":
            added.append(cluster.add_node(**node))
        else:
            last = added.pop()
            of_kind = last.all_processes.values()
            pids = [info.process.pid for processes in of_kind for info in processes]
            pids += [child for pid in pids for child in children(pid)]
            for pid in pids:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        sys.stdout.write("done\n")
        sys.stdout.flush()
    cluster.shutdown()


def children(pid: int) -> list[int]:
    """Return the processes that a process started, the workers of a node among them."""
    with suppress(OSError), Path(f"/proc/{pid}/task/{pid}/children").open() as file:
        return [int(word) for word in file.read().split()]
    return []


if __name__ == "__main__":
    main()
