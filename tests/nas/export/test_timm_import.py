from pathlib import Path

import pytest

from nas.export.timm_import import NAMES, import_network
from search_space.architecture import Architecture
from search_space.cost import count
from search_space.errors import InputError

PARAMS = {  # as timm and the papers have them
    "efficientnet_b0": 5_288_548,
    "efficientnet_b4": 19_341_616,
    "efficientnet_b8": 87_413_142,
    "mnasnet_a1": 3_887_038,
    "mnasnet_b1": 4_383_312,
    "mnasnet_small": 2_030_264,
    "mobilenetv2_100": 3_504_872,
}


@pytest.mark.parametrize(("name", "params"), PARAMS.items())
def test_known_names(name: str, params: int) -> None:
    architecture, found = import_network([name], {})
    assert count(architecture).params == params
    assert found == name


def test_every_name_is_read() -> None:
    for name in NAMES:
        assert import_network([name], {"classes": 10})[0].classes == 10


def test_block_strings_as_pasted_from_code() -> None:
    a1 = Architecture.load("mnasnet-a1")
    pasted = """[['ds_r1_k3_s1_e1_c16_noskip'], ["ir_r2_k3_s2_e6_c24"], ['ir_r3_k5_s2_e3_c40_se0.25'],
        ['ir_r4_k3_s2_e6_c80'], ['ir_r2_k3_s1_e6_c112_se0.25'], ['ir_r3_k5_s2_e6_c160_se0.25'],
        ['ir_r1_k3_s1_e6_c320']]"""
    assert import_network([pasted], {})[0].key == a1.key
    assert import_network(pasted.split(), {"activation": "silu"})[0].activation == "silu"


@pytest.mark.parametrize(
    ("words", "given", "message"),
    [
        (["efficientnet_b9"], {}, "unknown network 'efficientnet_b9': known are efficientnet_b0"),
        (["er_r1_k3_s1_e4_c24"], {}, "block 1, 'er_r1_k3_s1_e4_c24'"),
        (["  "], {}, "no block strings"),
        (["efficientnet_b0"], {"classes": 0}, "classes must be"),
    ],
)
def test_what_cannot_be_imported(words: list[str], given: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        import_network(words, given)


def test_a_file_that_is_not_text(tmp_path: Path) -> None:
    (tmp_path / "binary").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match="cannot be read as text"):
        import_network([str(tmp_path / "binary")], {})
