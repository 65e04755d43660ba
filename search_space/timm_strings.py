"""timm's block strings, one a stage: ``ir_r2_k3_s2_e6_c24_se0.25``. Written and read, without timm or torch.

``cn`` is a plain convolution, ``ds`` a separable one, ``ir`` MBConv; r layers, k kernel, s stride, e expansion,
c channels, se squeeze-excite width over the input channels. ``ds`` and ``ir`` have their shortcut unless ``noskip``,
``cn`` only with ``skip``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from search_space.architecture import Activation, Architecture, Layer, Stage
from search_space.errors import InputError

ACTIVATIONS: dict[Activation, str] = {"relu": "re", "relu6": "r6", "silu": "sw"}
"""Ours and timm's codes of activations."""

_OPTION = re.compile(r"(r|k|s|e|c|se)(\d+(?:\.\d+)?(?:e-?\d+)?)")
_MAX_TEXT = 200


def to_block_strings(architecture: Architecture) -> list[str]:
    """One block string a stage.

    Raises:
        InputError: A block that timm's strings cannot say, by number, with the reason; all of them in one line.
    """
    rows = architecture.stage_layers()
    problems = ["the stem: its stride is 1, timm's is 2"] if architecture.stem_stride != 2 else []
    if architecture.stem_kernel != 3 or architecture.stem_pool or not architecture.head:
        problems.append("the stem or head: timm's has a 3x3 stem without pooling, and a head")
    problems += [
        f"block {number}: {problem}"
        for number, (stage, layers) in enumerate(zip(architecture.stages, rows, strict=True), 1)
        for problem in _inexpressible(stage, layers)
    ]
    if problems:
        raise InputError(f"timm's block strings cannot say {'; '.join(problems)}")
    return [_to_string(stage) for stage in architecture.stages]


def _to_string(stage: Stage) -> str:
    common = f"r{stage.layers}_k{stage.kernel}_s{stage.stride}"
    if stage.op == "conv":
        return f"cn_{common}_c{stage.channels}" + ("_skip" if stage.skip == "identity" else "")
    kind = "ds" if stage.expand == 1 else "ir"
    squeeze = f"_se{stage.se:g}" if stage.se else ""
    skip = "" if stage.skip == "identity" else "_noskip"
    return f"{kind}_{common}_e{stage.expand}_c{stage.channels}{squeeze}{skip}"


def _inexpressible(stage: Stage, layers: tuple[Layer, ...]) -> list[str]:
    """What of a stage timm would build differently."""
    problems = ["linear: timm has no 1x1 convolution without an activation"] if stage.op == "linear" else []
    problems += [f"{stage.op}: timm's strings have no such block"] if stage.op in ("basic", "bottleneck") else []
    if any(layer.skip == "pool" for layer in layers):
        problems.append("skip pool: timm has no pooled shortcut")
    if any(layer.skip == "project" for layer in layers):
        problems.append("skip project: timm has no shortcut with a convolution")
    if stage.op == "conv" and stage.se:
        problems.append(f"se {stage.se:g} on a plain convolution: timm's cn has no squeeze-excite")
    for layer in dict.fromkeys(layers):
        width = layer.expanded_channels
        if stage.op == "mbconv" and layer.has_expansion and _round_to_8(width) != width:
            problems.append(f"{width} expanded channels: timm rounds them to a multiple of 8")
        ratio = float(f"{stage.se:g}") / stage.expand
        if stage.op == "mbconv" and stage.se and round(layer.expanded_channels * ratio) != layer.squeeze_channels:
            problems.append(
                f"squeeze-excite width {layer.squeeze_channels}: timm rounds {layer.in_channels} * {stage.se:g} its way"
            )
    return problems


def _round_to_8(channels: int) -> int:
    """timm's make_divisible."""
    rounded = max(8, (channels + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * channels else rounded


def parse_block_strings(strings: Iterable[str], activation: Activation = "silu") -> tuple[Stage, ...]:
    """The stages that block strings describe, one each.

    Args:
        strings: Block strings, in order.
        activation: The network's; a block that names another cannot be read.

    Raises:
        InputError: A string that is none, or that our networks cannot express, by number, with the reason.
    """
    stages = []
    for number, text in enumerate(strings, 1):
        try:
            stages.append(_parse(text, activation))
        except InputError as error:
            raise InputError(f"block {number}, {text[:_MAX_TEXT]!r}: {error}") from None
    return tuple(stages)


def _parse(text: str, activation: Activation) -> Stage:
    kind, *parts = text.split("_")
    if kind not in ("cn", "ds", "ir"):
        raise InputError(f"block type {kind[:20]!r} cannot be read: known are cn, ds, ir")
    options: dict[str, str] = {}
    words = set()
    for part in parts:
        match = _OPTION.fullmatch(part)
        key, value = match.groups() if match else (part, "")
        if key in options or key in words:
            raise InputError(f"{key[:20]!r} stands twice")
        if match:
            options[key] = value
        elif part in ("skip", "noskip", f"n{ACTIVATIONS[activation]}"):
            words.add(part)
        else:
            known = f"r, k, s, e, c, se, skip, noskip, n{ACTIVATIONS[activation]}"
            raise InputError(f"{part[:20]!r} cannot be read: known are {known}")
    missing = [key for key in ("r", "k", "s", "c") + (("e",) if kind == "ir" else ()) if key not in options]
    if missing:
        raise InputError(f"{missing[0]!r} is missing, e.g. {missing[0]}3")
    return _stage(kind, options, words)


def _stage(kind: str, options: dict[str, str], words: set[str]) -> Stage:
    expand = _whole("e", options.get("e", "1"))
    if kind == "ir" and expand == 1:
        raise InputError("e1 of ir has an expansion convolution of factor 1, which our networks leave out; see ds")
    if kind == "ds" and expand != 1:
        raise InputError(f"e{expand} of ds: it has no expansion, only e1 is allowed")
    if kind == "cn" and ("se" in options or expand != 1):
        raise InputError("cn has neither se nor an expansion")
    wanted = "skip" in words if kind == "cn" else "noskip" not in words
    values: dict[str, Any] = {
        "op": "conv" if kind == "cn" else "mbconv",
        "expand": expand,
        "kernel": _whole("k", options["k"]),
        "stride": _whole("s", options["s"]),
        "channels": _whole("c", options["c"]),
        "layers": _whole("r", options["r"]),
        "se": float(options.get("se", "0")),
        "skip": "identity" if wanted else "none",
    }
    return Stage(**values)


def _whole(key: str, text: str) -> int:
    if not text.isdigit() or len(text) > 9:
        raise InputError(f"{key}{text[:20]}: must be a whole number")
    return int(text)
