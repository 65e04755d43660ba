"""What other systems lack is taken away here, where no machine of theirs is at hand."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]

AS_ON_WINDOWS = """
import importlib, os, pkgutil, signal, sys

import ray, torch  # they know their systems themselves

sys.modules["fcntl"] = sys.modules["pwd"] = sys.modules["termios"] = None
for module, names in (
    (os, "fork getuid killpg sched_getaffinity setsid statvfs"),
    (signal, "SIGALRM SIGHUP SIGKILL setitimer"),
):
    for name in names.split():
        if hasattr(module, name):
            delattr(module, name)

import controller, evaluator, nas, search_space

for package in (search_space, controller, evaluator, nas):
    for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
        importlib.import_module(module.name)

from nas.commands.search import main

flags = ["--target-flops", "400M", "--evaluator", "params", "--controller", "random", "--trials", "2", "--quiet"]
sys.exit(main([*flags, "--run-dir", "run"]) or main(["--run-dir", "run", "--resume", "--trials", "3", "--quiet"]))
"""


def test_without_what_only_unix_has_everything_is_imported_and_a_search_runs(tmp_path: Path) -> None:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run([sys.executable, "-c", AS_ON_WINDOWS], cwd=tmp_path, env=environment, check=False)
    assert done.returncode == 0
    assert (tmp_path / "run" / "best.yaml").exists()


def test_folders_of_a_users_own_with_our_names_do_no_harm_where_a_command_runs(tmp_path: Path) -> None:
    (tmp_path / "configs").mkdir()
    (tmp_path / "configs" / "mine.yaml").write_text("a: 1")
    for name in ("evaluator.py", "controller.py", "configs.py"):
        (tmp_path / name).write_text("raise SystemExit('the wrong module')")
    # As an installed command starts: the current folder is not on the path.
    code = (
        f"import sys; sys.path.insert(0, {str(ROOT)!r}); from nas.commands import scale, search; sys.exit(scale.main())"
    )
    command = [sys.executable, "-P", "-c", code, "efficientnet-b0", "--phi", "1"]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
