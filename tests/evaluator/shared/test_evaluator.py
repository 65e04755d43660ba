import math
from pathlib import Path

import pytest

from evaluator.shared.evaluator import LEAST_WIDTH, MACS, WARNING, Shared, SharedConfig, load_scorer, train
from evaluator.shared.network import SharedNetwork
from search_space.architecture import Architecture
from search_space.errors import InputError
from tests.spaces import SMALL

CONFIG = SharedConfig(resolution=8, width=1.0, unstrided=0)


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "shared.pt"
    begun: list[SharedNetwork] = []
    trained = train(CONFIG, SMALL, SMALL.macs_range(), path, steps=40, begin=begun.append)
    assert trained.steps == 40
    assert [network.classes for network in begun] == [10]  # the digits'
    return path


def test_an_accuracy_is_the_probability_of_the_right_class(weights: Path) -> None:
    evaluator = Shared(Shared.with_weights(CONFIG, weights))
    found = [evaluator.evaluate(SMALL.reference, seed) for seed in (0, 1)]
    loss = load_scorer(CONFIG, weights).losses([SMALL.reference])[0]
    assert found[0].accuracy == found[1].accuracy == pytest.approx(math.exp(-loss))
    assert found[0].losses == (loss,)
    assert loss < math.log(10)  # it has learned something


def test_a_training_goes_on(weights: Path, tmp_path: Path) -> None:
    path = tmp_path / "shared.pt"
    path.write_bytes(weights.read_bytes())
    assert train(CONFIG, SMALL, SMALL.macs_range(), path, steps=42).steps == 42


def test_networks_of_other_spaces_are_infeasible(weights: Path) -> None:
    found = Shared(Shared.with_weights(CONFIG, weights)).evaluate(Architecture.load("efficientnet-b0"), 0)
    assert found.status == "infeasible"
    assert "not in the space small" in found.reason


def test_there_must_be_weights() -> None:
    with pytest.raises(InputError, match="evaluator shared: needs weights that a search has trained: nas-search --sh"):
        Shared(CONFIG).evaluate(SMALL.reference, 0)


def test_it_warns() -> None:
    assert Shared.caveat(CONFIG) == WARNING


def test_networks_are_as_wide_as_the_budget_affords() -> None:
    for macs, width in ((1000 * MACS, LEAST_WIDTH), (4 * MACS, 0.5), (MACS // 2, 1.0)):
        deployed = Shared.deployed_as(SharedConfig(), 32, macs)
        assert (deployed.width, deployed.unstrided) == (width, 0)
    assert Shared.deployed_as(CONFIG, 32, 1000 * MACS) == CONFIG  # asked for


@pytest.mark.parametrize(
    ("field", "value"), [("resolution", 4), ("width", 0.0), ("unstrided", -1), ("seed", -1), ("device", "tpu")]
)
def test_fields_out_of_range_are_named(field: str, value: object) -> None:
    with pytest.raises(InputError, match=f"{field} must be .*, got {value!r}"):
        SharedConfig(**{field: value})  # type: ignore[arg-type]
