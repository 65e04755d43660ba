import warnings

import numpy as np
import pytest
import torch
from torch import nn

from evaluator.device.profiler import thop_cost
from search_space.architecture import Architecture, Stage
from search_space.builder import build_model
from search_space.cost import count
from search_space.space import SearchSpace


def check(architecture):
    expected, found = count(architecture), thop_cost(architecture)
    assert (found.macs, found.params) == (expected.macs, expected.params)


def test_b0_by_the_numbers():
    found = thop_cost(Architecture.load("efficientnet-b0"))
    assert (found.macs, found.params) == (385_814_752, 5_288_548)


@pytest.mark.parametrize("name", ["mnasnet-a1", "mnasnet-b1"])
def test_reference_networks_agree_with_the_closed_form(name):
    check(Architecture.load(name))


@pytest.mark.parametrize("space", ["efficientnet", "mnasnet"])
def test_random_networks_agree_with_the_closed_form(space):
    generator = np.random.default_rng(5)
    for _ in range(5):
        check(SearchSpace.load(space).sample(generator))


def test_odd_sides_and_pool_shortcuts_agree_with_the_closed_form():
    stage = Stage(op="mbconv", expand=3, kernel=5, stride=2, channels=16, layers=2, se=0.25, skip="pool")
    check(Architecture(resolution=37, classes=7, stem=16, head=24, stages=(stage,)))


def test_without_our_rules_thop_counts_batchnorm_and_pools():
    architecture = Architecture.load("efficientnet-b0")
    cost = count(architecture)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import thop

        raw, _ = thop.profile(build_model(architecture), (torch.zeros(1, 3, 224, 224),), verbose=False)
    pools = cost.squeeze_excite_pool_elements + cost.head_pool_elements
    assert raw == cost.macs + 4 * cost.batchnorm_elements + pools


def test_the_network_is_left_as_it_was():
    model = build_model(Architecture.load("efficientnet-b0"))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    thop_cost(model, 32)
    assert model.state_dict().keys() == before.keys()
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert model.training
    assert not any(module._forward_hooks for module in model.modules())


def test_a_network_is_profiled_at_the_resolution_given():
    model = build_model(Architecture.load("efficientnet-b0"))
    assert thop_cost(model).macs == 385_814_752
    assert thop_cost(model, 32).macs < 385_814_752 // 20


def test_a_module_that_would_not_be_counted_is_refused():
    with pytest.raises(ValueError, match="1: cannot count the multiply-adds of a GRU"):
        thop_cost(nn.Sequential(nn.Conv2d(3, 3, 1), nn.GRU(3, 3)))
