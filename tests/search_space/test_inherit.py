import dataclasses

import pytest
import torch
from torch import Tensor

from search_space.architecture import Architecture, Stage
from search_space.builder import Network, build_model
from search_space.errors import InputError
from search_space.inherit import Inheritance, inherit
from search_space.scaling import efficientnet, scale
from tests.networks import outputs, pretend_trained, random_networks

PARENT = Architecture(
    resolution=32,
    classes=5,
    stem=12,
    stages=(
        Stage(op="mbconv", expand=1, kernel=3, channels=12, se=0.25),  # a shortcut joins it with the stem
        Stage(op="mbconv", expand=3, kernel=5, stride=2, channels=16, layers=2, se=0.25),
        Stage(op="conv", kernel=3, channels=16, layers=2),
        Stage(op="linear", kernel=1, channels=24),
        Stage(op="mbconv", expand=2, kernel=3, stride=2, channels=32, layers=2, skip="pool"),
    ),
    head=48,
)


def trained(architecture: Architecture, seed: int = 5) -> Network:
    network = build_model(architecture, generator=torch.Generator().manual_seed(seed))
    pretend_trained(network, seed)
    return network


def child(architecture: Architecture, parent: Network, parents: Architecture) -> tuple[Network, Inheritance]:
    network = build_model(architecture, generator=torch.Generator().manual_seed(9))
    return network, inherit(network, architecture, parent, parents)


def with_stage(architecture: Architecture, number: int, **changes: object) -> Architecture:
    stages = list(architecture.stages)
    stages[number] = dataclasses.replace(stages[number], **changes)  # type: ignore[arg-type]
    return dataclasses.replace(architecture, stages=tuple(stages))


def test_into_itself_it_is_the_identity() -> None:
    parent = trained(PARENT)
    network, report = child(PARENT, parent, PARENT)
    given = parent.state_dict()
    differ = [name for name, tensor in network.state_dict().items() if not torch.equal(tensor, given[name])]
    assert [name for name in differ if not name.endswith("num_batches_tracked")] == []
    total = sum(parameter.numel() for parameter in parent.parameters())
    assert report == Inheritance(total, total, 8, 8)
    assert str(report) == f"{total:,} of {total:,} weights (100%) inherited, in 8 of 8 layers; the others are new"


LARGER = {
    "wider": scale(PARENT, 2.0, 1.0, 32),
    "deeper": with_stage(with_stage(PARENT, 1, layers=4), 0, layers=2),
    "larger kernels": with_stage(with_stage(PARENT, 1, kernel=7), 2, kernel=5),
    "larger expansions": with_stage(PARENT, 1, expand=6),
    "larger squeeze": with_stage(PARENT, 1, se=0.5),
    "new squeeze": with_stage(PARENT, 4, se=0.25),
    "wider and deeper": scale(with_stage(PARENT, 1, kernel=7, expand=4), 1.5, 1.0, 32),
}


@pytest.mark.parametrize("name", LARGER)
def test_into_a_larger_one_it_gives_the_same_outputs(name: str) -> None:
    parent = trained(PARENT)
    network, report = child(LARGER[name], parent, PARENT)
    wanted = outputs(parent)
    assert (outputs(network) - wanted).abs().max() / wanted.abs().max() < 1e-5
    if name != "new squeeze":
        assert report.weights == sum(parameter.numel() for parameter in parent.parameters())
    assert report.of_weights == sum(parameter.numel() for parameter in network.parameters())
    network.train()(torch.randn(4, 3, 32, 32)).square().mean().backward()
    assert all(bool(p.grad.isfinite().all()) for p in network.parameters() if p.grad is not None)


def test_what_is_new_learns() -> None:
    network, _ = child(LARGER["wider"], trained(PARENT), PARENT)
    network.train()(torch.randn(4, 3, 32, 32)).square().mean().backward()
    new = network.conv_head.weight.grad[:48, 32:]  # what inherited filters read of new channels
    assert bool((new != 0).any())


def strongest(weight: Tensor, count: int) -> list[int]:
    return sorted(weight.abs().sum((1, 2, 3)).argsort(descending=True)[:count].tolist())


def test_into_a_narrower_one_it_is_slicing_by_hand() -> None:
    parents = Architecture(
        resolution=32,
        classes=5,
        stem=12,
        stages=(Stage(op="mbconv", expand=4, kernel=5, stride=2, channels=16, layers=2, se=0.5),),
        head=24,
    )
    parent = trained(parents)
    narrow = dataclasses.replace(with_stage(parents, 0, expand=3, kernel=3, channels=8, se=0.25), stem=6, head=10)
    network, report = child(narrow, parent, parents)
    given, own = parent.state_dict(), network.state_dict()
    stem, head = strongest(given["conv_stem.weight"], 6), strongest(given["conv_head.weight"], 10)
    writers = torch.cat([given[f"blocks.0.{j}.conv_pwl.weight"] for j in range(2)], 1)  # one path, both layers
    path = strongest(writers, 8)
    inner = strongest(given["blocks.0.1.conv_pw.weight"], 24)
    squeeze = strongest(given["blocks.0.1.se.conv_reduce.weight"], 2)
    wanted = {
        "conv_stem.weight": given["conv_stem.weight"][stem],
        "bn1.running_var": given["bn1.running_var"][stem],
        "blocks.0.1.conv_pw.weight": given["blocks.0.1.conv_pw.weight"][inner][:, path],
        "blocks.0.1.conv_dw.weight": given["blocks.0.1.conv_dw.weight"][inner][:, :, 1:4, 1:4],
        "blocks.0.1.bn2.bias": given["blocks.0.1.bn2.bias"][inner],
        "blocks.0.1.se.conv_reduce.weight": given["blocks.0.1.se.conv_reduce.weight"][squeeze][:, inner],
        "blocks.0.1.se.conv_reduce.bias": given["blocks.0.1.se.conv_reduce.bias"][squeeze],
        "blocks.0.1.se.conv_expand.weight": given["blocks.0.1.se.conv_expand.weight"][inner][:, squeeze],
        "blocks.0.1.conv_pwl.weight": given["blocks.0.1.conv_pwl.weight"][path][:, inner],
        "blocks.0.1.bn3.weight": given["blocks.0.1.bn3.weight"][path],
        "conv_head.weight": given["conv_head.weight"][head][:, path],
        "classifier.weight": given["classifier.weight"][:, head],
        "classifier.bias": given["classifier.bias"],
    }
    for name, tensor in wanted.items():
        assert torch.equal(own[name], tensor), name
    assert report.weights == report.of_weights


def test_along_a_residual_path_the_same_channels_are_kept() -> None:
    """The stem and the first stage are joined by a shortcut: together they decide which six stay."""
    parent = trained(PARENT)
    with torch.no_grad():
        parent.conv_stem.weight[:6] *= 100
    narrow = dataclasses.replace(with_stage(PARENT, 0, channels=6), stem=6)
    network, _ = child(narrow, parent, PARENT)
    given = parent.state_dict()
    assert torch.equal(network.state_dict()["bn1.bias"], given["bn1.bias"][:6])
    assert torch.equal(network.state_dict()["blocks.0.0.bn2.bias"], given["blocks.0.0.bn2.bias"][:6])


def test_another_operator_or_another_number_of_classes_is_new() -> None:
    parent = trained(PARENT)
    other = dataclasses.replace(with_stage(PARENT, 1, expand=1), classes=7)
    fresh = build_model(other, generator=torch.Generator().manual_seed(9)).state_dict()
    network, report = child(other, parent, PARENT)
    own = network.state_dict()
    assert (report.layers, report.of_layers) == (6, 8)
    assert torch.equal(own["blocks.1.0.conv_pw.weight"], fresh["blocks.1.0.conv_pw.weight"])
    assert not own["blocks.1.1.bn2.weight"].any()  # beside a shortcut: the identity
    assert torch.equal(own["classifier.weight"], fresh["classifier.weight"])
    assert torch.equal(own["blocks.2.1.conv.weight"], parent.state_dict()["blocks.2.1.conv.weight"])


def test_stages_that_were_left_out() -> None:
    parent = trained(PARENT)
    fewer = dataclasses.replace(PARENT, stages=(PARENT.stages[0], PARENT.stages[1], PARENT.stages[4]))
    network, report = child(fewer, parent, PARENT)
    own, given = network.state_dict(), parent.state_dict()
    assert report.layers == report.of_layers
    assert torch.equal(own["blocks.1.1.conv_pw.weight"], given["blocks.1.1.conv_pw.weight"])
    assert torch.equal(own["blocks.2.1.conv_pw.weight"], given["blocks.4.1.conv_pw.weight"])
    more = dataclasses.replace(PARENT, stages=(*PARENT.stages, PARENT.stages[4]))
    assert child(more, parent, PARENT)[1].layers == 8


@pytest.mark.slow
def test_b3_into_networks_of_the_default_space() -> None:
    parents = efficientnet("b3", Architecture.load("efficientnet-b0"))
    parent = trained(parents)
    for number, architecture in enumerate(random_networks("efficientnet", 50)):
        seven = dataclasses.replace(architecture, classes=7, resolution=224)
        network, report = child(seven, parent, parents)
        assert report.layers > 0
        with torch.set_grad_enabled(number % 10 == 0):
            logits = network(torch.randn(2, 3, 224, 224))
        assert bool(logits.isfinite().all())
        if number % 10 == 0:
            logits.square().mean().backward()
            assert all(bool(parameter.grad.isfinite().all()) for parameter in network.parameters())


@pytest.mark.parametrize(("child", "parent"), [("resnet-18", "resnet-50"), ("efficientnet-b0", "resnet-18")])
def test_weights_of_residual_networks_are_refused(child: str, parent: str) -> None:
    architectures = [Architecture.load(name) for name in (child, parent)]
    networks = [build_model(architecture) for architecture in architectures]
    with pytest.raises(InputError, match=r"cannot be moved to or from a network with layers (basic|bottleneck)"):
        inherit(networks[0], architectures[0], networks[1], architectures[1])
