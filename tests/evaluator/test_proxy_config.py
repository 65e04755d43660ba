import pytest

from evaluator.proxy import Proxy
from evaluator.proxy_config import ProxyConfig
from search_space.errors import InputError
from search_space.io import schema


def test_the_default_preset_is_the_default_config():
    assert Proxy.presets["default"] == ProxyConfig()
    assert schema.from_mapping(ProxyConfig, schema.to_plain(ProxyConfig()), "proxy") == ProxyConfig()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"resolution": 4}, "resolution must be 8 to 1024, got 4"),
        ({"base_resolution": 0}, "base_resolution must be at least 1, got 0"),
        ({"width": 0.0}, "width must be above 0 and at most 4"),
        ({"unstrided": -1}, "unstrided must be at least 0"),
        ({"validation_share": 1.0}, "validation_share must be between 0 and 1"),
        ({"max_images": 5}, "max_images must be at least 20"),
        ({"timeout": 0.0}, "timeout must be above 0 seconds"),
        ({"device": "tpu"}, "device must be auto, cpu or cuda, got 'tpu'"),
        ({"threads": 0}, "threads must be 1 to 1024"),
    ],
)
def test_wrong_fields_are_named(fields, message):
    with pytest.raises(InputError, match=message):
        ProxyConfig(**fields)
