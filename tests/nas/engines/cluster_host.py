"""A Ray cluster of several nodes on this machine, in a process of its own: prints its address, obeys lines on stdin."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import Any


def main(nodes: int, cpus: int) -> None:
    from ray._private.utils import get_ray_address_file
    from ray.cluster_utils import Cluster  # a Ray of its own: the tests' process must not have one

    # With a folder of its own for the session, Ray still writes the address here and does not make the folder.
    Path(get_ray_address_file(None)).parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="nas-chaos-", ignore_cleanup_errors=True) as folder:
        quiet: dict[str, Any] = {"include_dashboard": False, "_system_config": {"health_check_failure_threshold": 3}}
        head = {"num_cpus": 0, "temp_dir": folder, **quiet}
        cluster = Cluster(initialize_head=True, head_node_args=head)
        workers = [cluster.add_node(num_cpus=cpus) for _ in range(nodes)]
        print(cluster.address, flush=True)  # noqa: T201 - how the test learns it
        for line in sys.stdin:
            if line.strip() == "remove":
                cluster.remove_node(workers.pop(), allow_graceful=False)
                print("removed", flush=True)  # noqa: T201
        cluster.shutdown()


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
