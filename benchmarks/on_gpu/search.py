"""A real search on a GPU: CIFAR-10 at 32 pixels, with its trust report and its final, within some minutes.

    python -m benchmarks.on_gpu.search --data cifar.zip --out bench-gpu/search --minutes 9

`--data` is a folder of the binary version or a file of `benchmarks.on_gpu.cifar`. What the search printed and what it
left are copied to OUT, also of a search that was ended.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.on_gpu import cifar

KEPT = ("best.yaml", "config.yaml", "journal.jsonl", "report.html", "trials.csv", "trust.txt")
GRACE = 40.0
"""Seconds past its time after which a search is ended, in the way that Ctrl-C does."""


def arguments(data: Path, minutes: float, target: str, smoke: bool) -> list[str]:
    """Of nas-search: what a user would say, a larger batch, and a final that leaves the search some of the time."""
    wanted = ["--target-flops", target, "--data", f"cifar10:{data}", "--engine", "local", "--seed", "0"]
    settings = ["evaluator.batch_size=128", "final_seeds=3", "final_longer=2"]
    if smoke:
        settings = ["evaluator.max_images=60", "evaluator.width=0.1", "final_seeds=2", "final_longer=1"]
        wanted += ["--trials", "3", "--batch", "3", "--epochs", "1", "--final", "1", "--trust", "0%"]
    else:
        wanted += ["--time", f"{round(60 * minutes)}s", "--final", "2"]
    return wanted + [part for setting in settings for part in ("--set", setting)]


def search(data: Path, out: Path, minutes: float, target: str, smoke: bool) -> int:
    """Run it, show what it prints, keep what it leaves; its exit code."""
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        if data.is_file():
            cifar.unpack(data, Path(folder, "cifar"))
            data = Path(folder, "cifar")
        run = Path(folder, "run")
        command = [sys.executable, "-m", "nas.commands.search", *arguments(data, minutes, target, smoke)]
        try:
            with (out / "search.txt").open("w") as said:
                said.write(f"{' '.join(command[3:])}\n")
                said.flush()
                code = _run([*command, "--run-dir", str(run)], said.fileno(), 60 * minutes + GRACE)
        finally:
            for name in KEPT:
                if (run / name).is_file():
                    shutil.copy(run / name, out / name)
    print((out / "search.txt").read_text())
    return code


def _run(command: list[str], output: int, limit: float) -> int:
    environment = {**os.environ, "CUBLAS_WORKSPACE_CONFIG": ":4096:8"}
    process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
    try:
        return process.wait(limit)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGINT)
        try:
            return process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()


def main() -> None:
    """Search; exit with the search's own code."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of data_batch_1.bin and so on, or cifar.zip")
    parser.add_argument("--out", type=Path, default=Path("bench-gpu/search"), help="folder of what it leaves")
    parser.add_argument("--minutes", type=float, default=9.0, help="of the whole search, final included (9)")
    parser.add_argument("--target", default="3M", help="multiply-adds an image (3M)")
    parser.add_argument("--smoke", action="store_true", help="tiny sizes: does it run?")
    args = parser.parse_args()
    raise SystemExit(search(args.data, args.out, args.minutes, args.target, args.smoke))


if __name__ == "__main__":
    main()
