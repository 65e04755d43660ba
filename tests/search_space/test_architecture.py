import dataclasses
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search_space.architecture import Architecture, Stage, read_document
from search_space.errors import InputError
from tests.networks import RESIDUAL, TINY

B0 = Architecture.load("efficientnet-b0")
STAGE = B0.stages[1]


@st.composite
def stages(draw: st.DrawFn) -> Stage:
    op = draw(st.sampled_from(["conv", "mbconv"]))
    return Stage(
        op=op,
        expand=1 if op == "conv" else draw(st.integers(1, 64)),
        kernel=draw(st.sampled_from([3, 5, 7])),
        stride=draw(st.integers(1, 2)),
        channels=draw(st.integers(1, 100_000)),
        layers=draw(st.integers(1, 100)),
        se=draw(st.floats(0, 1) | st.integers(0, 1)),
        skip=draw(st.sampled_from(["none", "identity", "pool"])),
    )


architectures = st.builds(
    Architecture,
    resolution=st.integers(1, 10_000),
    classes=st.integers(1, 1_000_000),
    stem=st.integers(1, 100_000),
    stages=st.lists(stages(), min_size=1, max_size=8),
    head=st.integers(1, 100_000),
    activation=st.sampled_from(["relu", "relu6", "silu"]),
    dropout=st.floats(0, 1, exclude_max=True) | st.just(0),
)


@given(architectures)
def test_yaml_round_trip(architecture: Architecture) -> None:
    again = Architecture.from_yaml(architecture.to_yaml())
    assert again == architecture
    assert hash(again) == hash(architecture)
    assert again.key == architecture.key
    assert again.to_yaml() == architecture.to_yaml()


def test_metadata_rides_along_and_is_no_part_of_identity() -> None:
    text = B0.to_yaml(name="mine", metrics={"macs": 1, "accuracy": 0.5}, provenance={"space": "x", "trial": 3})
    architecture, metadata = read_document(text, "file")
    assert architecture == B0
    assert architecture.key == B0.key
    assert metadata == {
        "name": "mine",
        "metrics": {"macs": 1, "accuracy": 0.5},
        "provenance": {"space": "x", "trial": 3},
    }


def test_installed_architectures_are_written_as_to_yaml_writes() -> None:
    for name in ("efficientnet-b0", "mnasnet-a1", "mnasnet-b1", "mobilenet-v2"):
        path = Path(__file__).parents[2] / "configs" / "architectures" / f"{name}.yaml"
        body = "".join(line for line in path.read_text().splitlines(True) if not line.startswith("#"))
        assert body == Architecture.load(name).to_yaml(name=name)


def test_keys_never_change() -> None:
    # Journals and exported files name networks by key: a change here orphans them.
    assert B0.key == "4878a9cd8777727d"
    assert Architecture.load("mnasnet-a1").key == "d33df5f6ac8fbbb7"
    code = "from search_space.architecture import Architecture as A; print(A.load('efficientnet-b0').key)"
    for seed in "1", "2":
        done = subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == B0.key


def with_stage(index: int, **changes: object) -> Architecture:
    stages = list(B0.stages)
    stages[index] = dataclasses.replace(stages[index], **changes)  # type: ignore[arg-type]
    return dataclasses.replace(B0, stages=tuple(stages))


def test_coinciding_networks_have_one_key() -> None:
    # Block 1 has one layer, from 32 to 16 channels: no shortcut is possible.
    assert with_stage(0, skip="none").key == with_stage(0, skip="pool").key == B0.key
    # int(16 * .25) = int(16 * .26) = 4 and int(24 * .25) = int(24 * .26) = 6
    assert with_stage(1, se=0.26).key == B0.key
    # a stage of three equal layers is a stage of one and a stage of two
    first, rest = (dataclasses.replace(B0.stages[4], layers=layers) for layers in (1, 2))
    split = (*B0.stages[:4], first, rest, *B0.stages[5:])
    assert dataclasses.replace(B0, stages=split).key == B0.key


@pytest.mark.parametrize(
    "changes",
    [{"skip": "none"}, {"se": 0.5}, {"kernel": 5}, {"expand": 3}, {"channels": 32}, {"layers": 3}, {"stride": 1}],
)
def test_different_networks_have_different_keys(changes: dict[str, object]) -> None:
    assert with_stage(1, **changes).key != B0.key


@pytest.mark.parametrize(
    "changes", [{"resolution": 225}, {"classes": 10}, {"stem": 16}, {"head": 8}, {"activation": "relu"}, {"dropout": 0}]
)
def test_every_scalar_is_part_of_the_key(changes: dict[str, object]) -> None:
    assert dataclasses.replace(B0, **changes).key != B0.key  # type: ignore[arg-type]


def test_the_stem_stride() -> None:
    assert "stem_stride" not in B0.to_yaml()
    small = dataclasses.replace(B0, stem_stride=1)
    assert small.key != B0.key
    assert Architecture.from_yaml(small.to_yaml()) == small
    assert (B0.total_stride, small.total_stride) == (32, 16)


KEYS = {
    "efficientnet-b0": "4878a9cd8777727d",
    "mnasnet-a1": "d33df5f6ac8fbbb7",
    "mnasnet-b1": "0339dd127637b694",
    "mobilenet-v2": "dfc291a7e82848eb",
}


@pytest.mark.parametrize("name", KEYS)
def test_known_keys_stay(name: str) -> None:
    """Journals name networks by them: they may never change."""
    assert Architecture.load(name).key == KEYS[name]
    assert TINY.key == "959c965a5c6fade4"


@pytest.mark.parametrize("field", ["stem_kernel", "stem_pool"])
def test_what_a_resnet_needs_is_written_only_where_it_is_used(field: str) -> None:
    assert field not in B0.to_yaml()
    assert Architecture.from_yaml(RESIDUAL.to_yaml()) == RESIDUAL
    usual = dataclasses.replace(RESIDUAL, **{field: getattr(B0, field)})  # type: ignore[arg-type]
    assert usual.key != RESIDUAL.key
    assert field not in usual.to_yaml()


def test_layers_of_resnets() -> None:
    assert RESIDUAL.total_stride == 2 * 2 * 8
    assert (RESIDUAL.features, B0.features) == (32, 1280)
    rows = RESIDUAL.stage_layers()
    assert [[layer.skip for layer in row] for row in rows] == [
        ["identity", "identity"],
        ["project", "identity"],
        ["project", "identity"],
        ["none"],
    ]
    assert [layer.expanded_channels for layer in rows[1]] == [6, 6]
    assert Stage(op="bottleneck", expand=4, kernel=3, channels=2).inner_channels == 1


def test_layers_as_built() -> None:
    layers = B0.stage_layers()[1]
    assert [layer.skip for layer in layers] == ["none", "identity"]
    assert [layer.squeeze_channels for layer in layers] == [4, 6]
    assert [layer.stride for layer in layers] == [2, 1]
    assert [layer.expanded_channels for layer in layers] == [96, 144]
    # A pooled shortcut may cross a stride, not a change of channels.
    stage = dataclasses.replace(STAGE, skip="pool")
    assert [x.skip for x in Architecture(stem=24, stages=(stage,)).stage_layers()[0]] == ["pool", "pool"]
    assert [x.skip for x in Architecture(stem=16, stages=(stage,)).stage_layers()[0]] == ["none", "pool"]
    tiny = Stage(op="mbconv", kernel=3, channels=2, se=0.25)
    assert Architecture(stem=2, stages=(tiny,)).stage_layers()[0][0].squeeze_channels == 1
    uneven = Stage(op="mbconv", kernel=3, channels=2, se=0.15)
    assert (
        Architecture(stem=24, stages=(uneven,)).stage_layers()[0][0].squeeze_channels == 3
    )  # of 3.6: cut, not rounded


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kernel": 4}, "kernel must be 3, 5 or 7, got 4"),
        ({"kernel": 9}, "kernel must be 3, 5 or 7, got 9"),
        ({"kernel": True}, "kernel must be"),
        ({"op": "convolution"}, "op must be conv, mbconv, linear, basic or bottleneck, got 'convolution'"),
        ({"op": "conv"}, "expand must be 1 where op is conv, got 6"),
        ({"expand": 0}, "expand must be a whole number from 1 to 64"),
        ({"stride": 3}, "stride must be 1 or 2, got 3"),
        ({"op": "linear", "expand": 1, "se": 0}, "kernel must be 1 where op is linear, got"),
        ({"op": "linear", "expand": 1, "kernel": 1, "se": 0.5}, "se must be 0 where op is linear, got 0.5"),
        ({"op": "linear", "kernel": 1, "expand": 2}, "expand must be 1 where op is linear, got 2"),
        ({"kernel": 1}, "kernel must be 3, 5 or 7, got 1"),
        ({"channels": 0}, "channels must be a whole number from 1 to 100000, got 0"),
        ({"layers": 101}, "layers must be a whole number from 1 to 100, got 101"),
        ({"se": float("nan")}, "se must be a number from 0 to 1, got nan"),
        ({"se": -0.1}, "se must be"),
        ({"skip": "maybe"}, "skip must be none, identity, pool or project, got 'maybe'"),
        ({"op": "basic"}, "expand must be 1 where op is basic, got 6"),
        ({"kernel": 4, "stride": 0}, "kernel must be .*; stride must be"),
    ],
)
def test_bad_stages_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        dataclasses.replace(STAGE, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"resolution": 0}, "resolution must be a whole number from 1 to 10000, got 0"),
        ({"classes": 1.5}, "classes must be"),
        ({"stem": "32"}, "stem must be .*, got '32'"),
        ({"stages": ()}, "stages must be 1 to 100 stages"),
        ({"stages": (1,)}, "stages must be"),
        ({"head": -1}, "head must be"),
        ({"stem_kernel": 4}, "stem_kernel must be 3, 5 or 7, got 4"),
        ({"stem_kernel": 3.0}, "stem_kernel must be 3, 5 or 7, got 3.0"),
        ({"stem_pool": 1}, "stem_pool must be true or false, got 1"),
        ({"activation": "gelu"}, "activation must be relu, relu6 or silu, got 'gelu'"),
        ({"dropout": 1}, "dropout must be from 0 to below 1, got 1.0"),
    ],
)
def test_bad_architectures_are_refused(changes: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        dataclasses.replace(B0, **changes)  # type: ignore[arg-type]


TEXT = B0.to_yaml()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"f: not an architecture: format must be nas-architecture/1, got None"),
        ("[1]", "not an architecture"),
        (
            TEXT.replace("architecture/1", "architecture/2"),
            "format must be nas-architecture/1, got 'nas-architecture/2'",
        ),
        (TEXT.replace("kernel: 5", "kernel: 4", 1), r"f: stages\[2\]: kernel must be 3, 5 or 7, got 4"),
        (TEXT.replace("kernel: 5", "kernel: '5'", 1), r"stages\[2\]: kernel: expected a whole number, got '5'"),
        (TEXT.replace("kernel: 5", "kernal: 5", 1), r"unknown key 'kernal' \(did you mean 'kernel'\?\)"),
        (TEXT.replace("kernel: 5, ", "", 1), r"stages\[2\]: missing key 'kernel'"),
        (TEXT.replace("skip: identity", "skip: no", 1), "skip: must be one of none, identity, pool, project, got 'no'"),
        (TEXT + "stem: 32\n", "f, line [0-9]+: duplicate key 'stem'"),
        (TEXT + "colour: red\n", "f: unknown key 'colour'"),
        (TEXT + "metrics: 3\n", "f.metrics: expected a mapping, got 3"),
        (TEXT.replace("stem: 32", "stem: !!python/object/apply:os.system ['true']"), "tags .* are not allowed"),
        (TEXT.replace("stem: 32", "stem: 32.0"), "stem: expected a whole number, got 32.0"),
        (TEXT.replace("dropout: 0.2", "dropout: 1e999"), "dropout: expected a number, got inf"),
    ],
)
def test_bad_files_are_refused_in_one_line(text: str, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught:
        Architecture.from_yaml(text, "f")
    assert "\n" not in str(caught.value)


def test_load_names_what_is_known(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"did you mean 'efficientnet-b0'\?.*mnasnet-a1"):
        Architecture.load("efficientnet-b9")
    path = tmp_path / "mine.yaml"
    path.write_text(B0.to_yaml())
    assert Architecture.load(path) == B0
