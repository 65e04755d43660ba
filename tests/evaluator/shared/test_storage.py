from pathlib import Path

import pytest
import torch

from evaluator.shared import storage
from evaluator.shared.network import SharedNetwork
from search_space.errors import InputError
from search_space.space import SearchSpace
from tests.spaces import EVERY_DECISION, SMALL

COUNTS = {"steps": 3, "seconds": 1.5, "rate": 0.08, "restarts": 0, "begun": 1, "recent": 2.0}


def save(path: Path, space: SearchSpace, finished: object = (), **changes: object) -> SharedNetwork:
    shared = SharedNetwork(space, width=0.5, unstrided=1, resolution=8, classes=4)
    vectors = {name: torch.arange(shared.size, dtype=torch.float32) for name in storage.VECTORS}
    storage.save(path, shared, COUNTS, vectors | changes, finished)  # type: ignore[operator, arg-type]
    return shared


@pytest.mark.parametrize("space", [SMALL, EVERY_DECISION, SearchSpace.load("mnasnet")], ids=lambda space: space.name)
def test_round_trip(space: SearchSpace, tmp_path: Path) -> None:
    size = SharedNetwork(space, width=0.5, unstrided=1, resolution=8, classes=4).size
    shared = save(tmp_path / "shared.pt", space, finished=[torch.ones(size), torch.zeros(size)])
    again, counts, vectors, finished = storage.load(tmp_path / "shared.pt")
    assert again.key == shared.key
    assert again.space.decisions == space.decisions
    assert counts == COUNTS
    assert all(torch.equal(vector, torch.arange(shared.size).float()) for vector in vectors.values())
    assert torch.equal(torch.stack(finished), torch.stack([torch.ones(size), torch.zeros(size)]))


@pytest.mark.parametrize("content", [None, b"", b"PK\x03\x04 damaged"])
def test_what_is_no_such_file(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "shared.pt"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(InputError, match=r"shared\.pt: not the weights of a shared training, or damaged"):
        storage.load(path)


def test_code_is_not_run(tmp_path: Path) -> None:
    path = tmp_path / "shared.pt"
    torch.save({"space": {}, "sizes": {}, "counts": {}, "vectors": Path("anything")}, path)
    with pytest.raises(InputError, match="UnpicklingError"):
        storage.load(path)


@pytest.mark.parametrize("vector", [torch.zeros(3), torch.full((1,), torch.nan), 5])
def test_weights_that_do_not_fit(vector: object, tmp_path: Path) -> None:
    for changes in ({"averages": vector}, {"finished": [vector]}):
        save(tmp_path / "shared.pt", SMALL, **changes)
        with pytest.raises(
            InputError, match=r"weights, averages, velocity must be .* finite numbers each, as every set"
        ):
            storage.load(tmp_path / "shared.pt")
