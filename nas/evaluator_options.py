"""The flags that say how a network is scored, shared by all commands that score any."""

from __future__ import annotations

import argparse
from typing import Any

from evaluator.registry import DATASETS, EVALUATORS


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the evaluator's group of flags; `settings` reads them."""
    score = parser.add_argument_group("how to score a network")
    score.add_argument("--evaluator", metavar="NAME", help=f"{', '.join(EVALUATORS)} (default: proxy)")
    score.add_argument(
        "--evaluator-preset", metavar="NAME", help="the proxy's demo, small, imagenet100 or imagenet (default: demo)"
    )
    score.add_argument("--data", metavar="DATA", help=f"{', '.join(DATASETS)} as name:DIR (default: digits)")
    score.add_argument("--epochs", type=int, metavar="N", help="epochs of the short training")
    score.add_argument("--trial-timeout", type=float, metavar="SECONDS", help="give up on a network after this long")
    score.add_argument("--device", metavar="NAME", help="auto, cpu or cuda")


def settings(args: argparse.Namespace) -> dict[str, Any]:
    """The evaluator's settings by flag, None where a flag was not given."""
    return {
        "name": args.evaluator,
        "preset": args.evaluator_preset,
        "data": args.data,
        "epochs": args.epochs,
        "timeout": args.trial_timeout,
        "device": args.device,
    }
