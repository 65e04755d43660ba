import subprocess
import sys

import pytest

FAULTS = """
import resource
import torch
from evaluator.device.allocator import keep_freed_memory

if {kept}:
    keep_freed_memory()

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    blocks = [torch.ones(33 * 2**20, dtype=torch.uint8) for _ in range(2)]
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print([faults() for _ in range(20)][-1])
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc only")
def test_large_tensors_get_the_memory_of_those_that_were_freed() -> None:
    def faults(kept: bool) -> int:
        command = [sys.executable, "-c", FAULTS.format(kept=kept)]
        return int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)

    assert 4 * faults(True) < faults(False)


HELD = """
import torch
from evaluator.device.allocator import keep_freed_memory

def resident():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * 4096

keep_freed_memory()
before = resident()
small = []
for _ in range(4):
    torch.ones(64 * 2**20, dtype=torch.uint8)
    small.append(torch.ones(1))
kept = resident() - before
keep_freed_memory()
print(kept, resident() - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="glibc only")
def test_the_next_training_gives_back_what_the_last_one_left() -> None:
    command = [sys.executable, "-c", HELD]
    kept, left = map(int, subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())
    assert kept >= 64 * 2**20
    assert left < 2**20 * 16
