"""From a search to a trained network in a file that needs only PyTorch.

    python examples/search_to_network.py

On the embedded digits, as small as it goes: it shows the way, not a result.
"""

from __future__ import annotations

import sys
from pathlib import Path

import nas
from nas.commands import export, train


def main(folder: Path) -> None:
    """Search, train, export, scale."""
    small = {"name": "proxy", "epochs": 1, "max_images": 300}
    with nas.create_study("400M", evaluator=small, run_dir=folder / "search", resume=True, batch=2, trials=2) as study:
        study.optimize()
    best = folder / "search" / "best.yaml"

    # What the commands do, their main functions do: nas-train and nas-export.
    train.main(
        [str(best), "--data", "digits", "--epochs", "1", "--threads", "1", "--quiet", "-o", str(folder / "trained")]
    )
    weights = folder / "trained" / "network.safetensors"
    exported = ["--weights", str(weights), "--to", "torch", "-o", str(folder / "exported")]
    export.main([str(folder / "trained" / "network.yaml"), *exported])

    # The same network in this process, and a larger one of its family.
    model = nas.create_model(folder / "trained" / "network.yaml", weights=weights)
    print(f"{sum(parameter.numel() for parameter in model.parameters()):,} parameters")
    print(nas.scale(best, phi=1).to_yaml())


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "runs/example"))
