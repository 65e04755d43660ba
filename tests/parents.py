"""A network whose weights others begin with."""

from pathlib import Path

import torch

from evaluator.data.trained_on import TrainedOn
from evaluator.weights import to_bytes
from search_space.builder import Network, build_model
from tests.nas_small import SMALL
from tests.networks import pretend_trained

TRAINED = TrainedOn(
    pixel_mean=(90, 91, 92), pixel_std=(40, 41, 42), class_names=tuple("abcde"), input_size=32, batchnorm_momentum=0.1
)


def five(path: Path, trained_on: TrainedOn | None = TRAINED) -> Network:
    """A network of five classes, every tensor of which matters, in a file."""
    network = build_model(SMALL, generator=torch.Generator().manual_seed(7))
    pretend_trained(network)
    path.write_bytes(to_bytes(network, SMALL, trained_on))
    return network
