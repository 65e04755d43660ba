"""The known networks that a search's best is set beside: at its size, and at no fewer multiply-adds than it has.

Their width follows the budget. Where images are so small that their strides would leave less than about 4 x 4 pixels,
each is there twice, with its own strides and with fewer; the evaluator says which is the better.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping

from evaluator.base import Evaluation
from nas.config import SearchConfig
from nas.history import History
from nas.runs.deployment import checkpoint_of
from nas.runs.directory import REFERENCE_NETWORK
from search_space.architecture import Architecture
from search_space.cost import count
from search_space.fitting import at_no_fewer, at_no_more, fit_width, on_fewer_pixels, width_of, with_fewer_strides

KNOWN = (REFERENCE_NETWORK, "mobilenet-v2", "mnasnet-a1")
"""EfficientNet-B0 first: it stands for all where there is room for one."""
PARENT = "checkpoint"
"""What the network is called whose weights all others begin with."""
_NEAR = 0.05  # how near to the target runs of earlier versions left the reference's width as it is


def reference_networks(settings: SearchConfig, macs: int) -> dict[str, Architecture]:
    """The known networks, by the names that the journal has for them.

    Where a checkpoint is inherited from, what is known is that: see `of_parent`.
    In a run that does not say its size (its networks have one of their own, or it is older) EfficientNet-B0 alone, as
    it was published.

    Args:
        settings: The search's.
        macs: What they are to cost at least.
    """
    if parents := of_parent(settings):
        return parents
    if settings.classes is None:
        return {REFERENCE_NETWORK: Architecture.load(REFERENCE_NETWORK)}
    networks = {}
    for name in KNOWN:
        known = _sized(name, settings)
        networks[name] = at_no_fewer(known, macs)
        if (fewer := with_fewer_strides(known, macs)) is not None:
            networks[f"{name} stride {fewer.total_stride}"] = fewer
    return networks


def comparable(settings: SearchConfig, macs: int, evaluated: Mapping[str, Evaluation]) -> dict[str, Architecture]:
    """Each known network once, at no fewer MACs in any run, with the better of its strides by the evaluator.

    Args:
        settings: The search's.
        macs: What they are to cost at least.
        evaluated: Evaluations of references by name; strides that were not evaluated are not the better ones.
    """

    def accuracy(name: str) -> float:
        return (evaluated[name].accuracy if name in evaluated else None) or 0.0

    if parents := of_parent(settings):
        return parents
    networks, chosen = reference_networks(settings, macs), dict[str, str]()
    for name in networks:
        before = chosen.setdefault(_base(name), name)
        if accuracy(name) > accuracy(before):
            chosen[_base(name)] = name
    if settings.classes is None:
        return {name: at_no_fewer(networks[name], macs) for name in chosen.values()}
    return {name: networks[name] for name in chosen.values()}


def of_parent(settings: SearchConfig) -> dict[str, Architecture]:
    """What whoever has the checkpoint that a search's networks inherit from would take otherwise, by name.

    Its own network at the search's size, where it fits the budget; and as it is brought to the budget, by its width
    and, where it costs more, by smaller images. Empty where nothing is inherited.

    Args:
        settings: The search's; nothing costs more than its target.
    """
    checkpoint, macs = checkpoint_of(settings), settings.target_flops
    if checkpoint is None:
        return {}
    _, network = checkpoint
    own = _sized(network, settings) if settings.classes is not None else Architecture.load(network)
    networks = {PARENT: own} if count(own).macs <= macs else {}
    for brought in (at_no_more(own, macs), on_fewer_pixels(own, macs)):
        if brought is not None and brought != own:
            wide = f"width {width_of(brought, own):.2g}" if brought.resolution == own.resolution else ""
            networks[f"{PARENT} at {wide or f'{brought.resolution} pixels'}"] = brought
    return networks


def network_of(history: History, settings: SearchConfig, name: str) -> Architecture:
    """The network that a run's journal means by the name of a reference, evaluated or not.

    Raises:
        InputError: There is none of that name.
    """
    if (recorded := history.reference_networks.get(name)) is not None:
        return recorded
    if name in history.references and settings.classes is not None and name == REFERENCE_NETWORK:
        return _of_earlier_versions(settings)
    if checkpoint_of(settings):  # its file may be gone
        return _sized(name, settings) if settings.classes is not None else Architecture.load(name)
    macs = history.best.macs if history.best else settings.target_flops
    return reference_networks(settings, macs).get(name) or Architecture.load(name)


def in_order(names: Iterable[str]) -> list[str]:
    """References as they are told, whichever finished first."""
    return sorted(names, key=lambda name: ((*KNOWN, _base(name)).index(_base(name)), name))


def ahead(best: float, rewards: Mapping[str, float | None]) -> str:
    """The references that beat what was found, by their titles, as a sentence; empty where none does."""
    names = [name for name, reward in rewards.items() if reward is not None and reward > best]
    return f"A higher reward than the best that was found: {'; '.join(names)}." if names else ""


def title(name: str, network: Architecture) -> str:
    """What to call a reference, at whatever width and strides."""
    if _base(name) not in KNOWN:
        return name
    published = Architecture.load(_base(name))
    width = network.head / published.head
    fewer = "" if network.total_stride == published.total_stride else f", stride {network.total_stride}"
    return _base(name) + (f" at width {width:.2g}" if width != 1 else "") + fewer


def _base(name: str) -> str:
    return name.partition(" ")[0]


def _sized(name: str, settings: SearchConfig) -> Architecture:
    """A published network at the size of a search's networks."""
    known = Architecture.load(name)
    assert settings.classes is not None
    return dataclasses.replace(known, resolution=settings.resolution or known.resolution, classes=settings.classes)


def _of_earlier_versions(settings: SearchConfig) -> Architecture:
    """EfficientNet-B0 as it was set beside a search: its MACs near the target, whatever those of the best."""
    sized = _sized(REFERENCE_NETWORK, settings)
    near = abs(count(sized).macs / settings.target_flops - 1) <= _NEAR
    return sized if near else fit_width(sized, settings.target_flops)
