"""Files and texts changed at random: every reader succeeds or says in one line what is wrong, and nothing else."""

from __future__ import annotations

import io
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from evaluator.data.dataset import Request
from evaluator.data.folder import load_folder
from evaluator.tabular.table import Table, TableConfig
from evaluator.weights import load_weights, to_bytes
from nas import config
from nas.export.timm_import import import_network
from nas.grid import coefficients
from nas.runs import record, warm_start
from search_space.architecture import Architecture
from search_space.builder import build_model
from search_space.errors import NasError
from search_space.space import SearchSpace
from tests.runs import make_run

pytestmark = pytest.mark.slow
FULL = 20_000
TOKENS = (
    *(b"", b"\0", b"\n", b"\x1b[31m", b"\xff", "\u202e".encode()),
    *(b"-1", b"1e400", b"9" * 400, b"nan", b"null", b"true"),
    *(b"{", b"]", b": ", b"'", b'"', b",,", b"!!python/name:os.system", b"&a *a", b"../" * 9),
)
NETWORK = Architecture.load("mobilenet-v2")
Reader = Callable[[bytes], Any]


def changed(data: bytes, moments: random.Random) -> bytes:
    """A few changes: bytes flipped, pieces cut out, doubled, moved, or replaced by what readers trip over."""
    for _ in range(moments.choice((1, 1, 2, 4))):
        a, b = sorted(moments.randrange(len(data) + 1) for _ in range(2))
        b = min(b, a + moments.choice((1, 8, 64, len(data))))
        match moments.randrange(6):
            case 0:
                data = data[:a] + bytes([moments.randrange(256)]) + data[a + 1 :]
            case 1:
                data = data[:a] + data[b:]
            case 2:
                data = data[:b] + data[a:]
            case 3:
                data = data[:a]
            case 4:
                data = data[:a] + moments.choice(TOKENS) + data[a:]
            case _:
                data = data[:a] + moments.choice(TOKENS) + data[b:]
    return data


def refuses(read: Callable[[], Any], what: str) -> bool:
    """Whether input is refused, in one clean line; anything but that or success fails."""
    try:
        read()
    except NasError as error:
        line = str(error)
    except Exception as error:
        raise AssertionError(f"{what}: {type(error).__name__}: {error}") from error
    else:
        return False
    assert line.isprintable(), f"{what}: {line!r}"
    assert 0 < len(line) < 2000, f"{what}: {len(line)} characters"
    return True


def attack(read: Reader, sample: bytes, number: int) -> int:
    """How many changed samples were refused."""

    def tried(seed: int) -> bool:
        return refuses(lambda: read(changed(sample, random.Random(seed))), f"seed {seed}")

    return sum(map(tried, range(number)))


def text_of(data: bytes) -> str:
    return data.decode("utf-8", "replace")


def through_file(path: Path, read: Callable[[Path], Any]) -> Reader:
    def reader(data: bytes) -> Any:
        path.write_bytes(data)
        return read(path)

    return reader


@pytest.fixture
def number(share: float) -> int:
    return int(FULL * share)


def test_architectures(number: int, tmp_path: Path) -> None:
    sample = NETWORK.to_yaml(name="m", metrics={"macs": 3}, provenance={"run": "r"}).encode()
    assert attack(through_file(tmp_path / "a.yaml", Architecture.load), sample, number) > number / 2


def test_spaces(number: int, tmp_path: Path) -> None:
    sample = (Path(__file__).parents[2] / "configs" / "spaces" / "mnasnet.yaml").read_bytes()
    assert attack(through_file(tmp_path / "s.yaml", SearchSpace.load), sample, number // 4) > number / 8


def test_run_configs(number: int, tmp_path: Path) -> None:
    sample = config.to_yaml(config.resolve([{"target_flops": "400M"}])).encode()

    def read(path: Path) -> Any:
        return config.resolve([config.read(str(path))])

    assert attack(through_file(tmp_path / "c.yaml", read), sample, number) > number / 2


def test_coefficients(number: int, tmp_path: Path) -> None:
    sample = b"format: nas-coefficients/1\nalpha: 1.2\nbeta: 1.1\ngamma: 1.15\nphi: 1\nevidence: {seed: 0}\n"
    assert attack(through_file(tmp_path / "k.yaml", coefficients.read), sample, number) > number / 4


@pytest.mark.parametrize("suffix", ["csv", "json"])
def test_tables(number: int, tmp_path: Path, suffix: str) -> None:
    samples = {
        "csv": b"key,accuracy\n" + b"".join(b"%016x,0.%d\n" % (i, i) for i in range(30)),
        "json": b'{"0123456789abcdef": 0.5, "fedcba9876543210": 0.25}',
    }
    path = tmp_path / f"t.{suffix}"
    read = through_file(path, lambda path: Table(TableConfig(path=str(path))))
    assert attack(read, samples[suffix], number) > number / 4


@pytest.mark.parametrize("kind", ["safetensors", "pt"])
def test_weights(number: int, tmp_path: Path, kind: str) -> None:
    network = build_model(NETWORK)
    state = io.BytesIO()
    torch.save({"classifier.bias": torch.zeros(3)}, state)
    # Its head is what matters: numbers may be any.
    sample = to_bytes(network, NETWORK)[:60_000] if kind == "safetensors" else state.getvalue()
    read = through_file(tmp_path / f"w.{kind}", lambda path: load_weights(network, NETWORK, path))
    assert attack(read, sample, number) == number


def test_images(number: int, tmp_path: Path) -> None:
    image_module = pytest.importorskip("PIL.Image")
    buffer = io.BytesIO()
    image_module.linear_gradient("L").resize((24, 24)).convert("RGB").save(buffer, "PNG")
    for name in "ab":
        (tmp_path / "photos" / name).mkdir(parents=True)
    for i in range(4):
        (tmp_path / "photos" / "b" / f"{i}.png").write_bytes(buffer.getvalue())
        (tmp_path / "photos" / "a" / f"{i}.png").write_bytes(buffer.getvalue())

    def read(data: bytes) -> Any:
        (tmp_path / "photos" / "a" / "0.png").write_bytes(data)
        cache = tmp_path / "cache"
        shutil.rmtree(cache, ignore_errors=True)
        request = Request(
            spec="folder:photos",
            argument=str(tmp_path / "photos"),
            resolution=8,
            cache_dir=cache,
            progress=lambda done, total: None,
        )
        return load_folder(request)

    assert attack(read, buffer.getvalue(), number // 10) > 0


def test_timm_strings(number: int) -> None:
    sample = b"ds_r1_k3_s1_e1_c16_se0.25 ir_r2_k3_s2_e6_c24_se0.25 ir_r3_k5_s2_e6_c80_noskip"
    assert attack(lambda data: import_network([text_of(data)], {}), sample, number) > number / 4


def test_settings(number: int) -> None:
    def read(data: bytes) -> Any:
        return config.resolve([{"target_flops": "400M"}, config.parse_setting(text_of(data))])

    assert attack(read, b"evaluator.epochs=5", number) > number / 4


def test_journals(number: int, tmp_path: Path) -> None:
    run = tmp_path / "run"
    make_run(run, trials=6, space="accel-nasbench")  # a space that is read in a third of the default's time
    journal = (run / "journal.jsonl").read_bytes()

    def read(data: bytes) -> Any:
        (run / "journal.jsonl").write_bytes(data)
        return record.load(run)  # says so in its notices, and never raises beyond that

    assert attack(read, journal, number // 2) < number // 2  # what is whole is shown, and the rest is a notice


def test_journals_that_are_sealed_right_and_wrong_inside(number: int, tmp_path: Path) -> None:
    """Each event is changed as data, and sealed again as a stranger's program would."""
    from nas import journal as journals

    run = tmp_path / "run"
    make_run(run, trials=6)
    events = list(journals.read(run / "journal.jsonl"))
    settings = config.resolve([{"target_flops": "400M"}])
    space = SearchSpace.load("efficientnet")
    for seed in range(number // 10):
        moments = random.Random(seed)
        rows = [dict(event) for event in events]
        at = moments.randrange(len(rows))
        key = moments.choice(list(rows[at]))
        rows[at] |= {key: twisted(rows[at][key], moments)}
        (run / "journal.jsonl").unlink()
        with journals.Journal(run / "journal.jsonl") as journal:
            for row in rows:
                journal.append(row)

        def learn() -> None:
            record.load(run)
            warm_start.read([str(run)], space, settings.objective)

        refuses(learn, f"seed {seed}: {rows[at]}")


def twisted(value: Any, moments: random.Random) -> Any:
    """Plain data with one thing in it changed for another."""
    wrong = (None, -1, 5, 1e9, float(10**300), "x" * 9, [], {}, [[[[]]]], True, 2**63, "..", {"a": 1})
    if isinstance(value, dict) and value and moments.random() < 0.9:
        key = moments.choice(list(value))
        if moments.random() < 0.2:
            return {name: item for name, item in value.items() if name != key}
        return value | {key: twisted(value[key], moments)}
    if isinstance(value, list) and value and moments.random() < 0.8:
        at = moments.randrange(len(value))
        return [*value[:at], twisted(value[at], moments), *value[at + 1 :]]
    return moments.choice(wrong)


def test_the_changes_are_changes() -> None:
    sample = yaml.safe_dump({"a": [1, 2, 3]}).encode() * 5
    assert len({changed(sample, random.Random(seed)) for seed in range(100)}) > 80
