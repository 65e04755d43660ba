import dataclasses

import numpy as np
import pytest

from evaluator.tabular.accel_nasbench import Published
from nas.bench import agreement
from nas.bench.agreement import Sample, choose, make, measure, seed_noise
from search_space.architecture import Architecture
from search_space.cost import count
from search_space.errors import InputError
from search_space.space import SearchSpace
from tests.toys import ToyConfig, ToyEvaluator


def published(number: int) -> list[Published]:
    """Networks whose accuracy is proportional to their number of parameters."""
    space, generator = SearchSpace.load("accel-nasbench"), np.random.default_rng(0)
    networks = [space.sample(generator) for _ in range(number)]
    costs = [count(network) for network in networks]
    return [
        Published(architecture=network, accuracy=cost.params / 1e8, macs=cost.macs, params=cost.params, speed={})
        for network, cost in zip(networks, costs, strict=True)
    ]


def whole(networks: list[Published]) -> Sample:
    index = tuple(range(len(networks)))
    return Sample(networks=tuple(networks), everywhere=index, band=index[: len(index) // 2])


def test_networks_are_distinct_and_those_of_the_band_lie_in_it() -> None:
    networks = published(60)
    low, high = sorted(p.macs for p in networks)[20], sorted(p.macs for p in networks)[50]
    sample = choose(networks + networks, 10, (low, high), seed=3)
    assert len({p.architecture.key for p in sample.networks}) == len(sample.networks)
    assert len(sample.everywhere) == len(sample.band) == 10
    assert all(low <= sample.networks[i].macs <= high for i in sample.band)
    # Those drawn from everywhere that lie in the band are used twice.
    inside = [i for i in sample.everywhere if low <= sample.networks[i].macs <= high]
    assert list(sample.band[: len(inside)]) == inside
    assert choose(networks, 10, (low, high), seed=3) == sample
    assert choose(networks, 10, (low, high), seed=4) != sample


def test_too_few_networks_are_refused() -> None:
    with pytest.raises(InputError, match="--networks must be at least 2, got 1"):
        choose(published(4), 1, (1, 10**12), seed=0)
    with pytest.raises(InputError, match="--band 1-2: 0 published networks lie in it"):
        choose(published(4), 2, (1, 2), seed=0)


def test_a_score_that_is_the_truth_has_tau_one_and_no_noise() -> None:
    (row,) = measure("params", make("params", None), whole(published(12)), seed=0)
    assert (row.everywhere.tau, row.band.tau) == (1, 1)
    assert row.noise == pytest.approx(0, abs=1e-12)
    assert row.spread > 0
    assert "+1.00 [+1.00, +1.00]" in str(row)


def test_a_score_that_is_noise_is_shown_as_noise() -> None:
    accuracy, loss = measure("toy", ToyEvaluator(ToyConfig()), whole(published(40)), seed=0)
    assert accuracy.everywhere.low < 0 < accuracy.everywhere.high
    assert accuracy.noise == pytest.approx(accuracy.spread, rel=0.6)
    assert loss.name == "toy, by validation loss"
    assert loss.everywhere.tau == pytest.approx(accuracy.everywhere.tau)


def test_networks_that_fail_rank_last() -> None:
    networks = whole([dataclasses.replace(p, accuracy=0.5) for p in published(6)])
    (accuracy, *_) = measure("toy", ToyEvaluator(ToyConfig(fail_every=1)), networks, seed=0)
    assert accuracy.spread == 0


def test_seed_noise_leaves_out_what_all_networks_share() -> None:
    generator = np.random.default_rng(0)
    networks, seeds, noise = generator.normal(size=400), generator.normal(size=(3, 1)), generator.normal(size=(3, 400))
    assert seed_noise((networks + 5 * seeds + 0.1 * noise).tolist()) == pytest.approx(0.1, rel=0.1)
    assert seed_noise((networks + 5 * seeds).tolist()) == pytest.approx(0, abs=1e-12)


def test_what_to_measure_is_checked() -> None:
    with pytest.raises(InputError, match=r"unknown evaluator 'snop'.*did you mean 'snip'"):
        make("snop", None)
    with pytest.raises(InputError, match="unknown preset of evaluator params 'large'"):
        make("params/large", None)
    with pytest.raises(InputError, match="photos"):
        make("proxy", "photos")


def test_b0_itself_can_be_scored() -> None:
    assert make("params", None).evaluate(Architecture.load("efficientnet-b0"), 0).accuracy == 0.5


def test_every_evaluator_that_measures_is_measured_unless_some_are_named() -> None:
    specs = agreement.every_preset()
    assert {"proxy", "proxy/small", "gradient-norm", "params"} <= set(specs)
    assert not {"table", "imagenet"} & set(specs)
