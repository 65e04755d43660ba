import dataclasses

import pytest
import torch
from PIL import Image

from evaluator import short_training as module
from evaluator.base import Evaluation
from evaluator.data import folder as image_folder
from evaluator.data.dataset import load_dataset, split
from evaluator.data.placement import HostImages
from evaluator.proxy import Proxy
from evaluator.proxy_config import ProxyConfig
from evaluator.training import Trainer, fit
from evaluator.weights import to_bytes
from nas.engines.base import Job
from nas.engines.local import LocalEngine
from search_space.architecture import Architecture, Stage
from search_space.builder import build_model
from search_space.cost import count
from search_space.seeding import derive_seed
from tests.networks import pretend_trained

SMALL = Architecture(
    stem=16,
    head=32,
    stages=(
        Stage(op="mbconv", expand=1, kernel=3, channels=16),
        Stage(op="mbconv", expand=3, kernel=3, stride=2, channels=32, layers=2, se=0.25),
        Stage(op="mbconv", expand=3, kernel=5, stride=2, channels=48),
    ),
)
DECODE = image_folder.decode
QUICK = ProxyConfig(resolution=8, epochs=2, batch_size=32, max_images=400, learning_rate=0.01)


@pytest.fixture(scope="module")
def quick():
    return Proxy(QUICK)


def without_times(evaluation):
    return dataclasses.replace(evaluation, seconds=0.0)


def test_an_evaluation_is_repeatable_and_depends_on_the_seed(quick):
    first = quick.evaluate(SMALL, seed=3)
    assert first.status == "ok"
    assert len(first.curve) == 2
    assert first.accuracy == first.curve[-1] > 0.15
    assert without_times(quick.evaluate(SMALL, seed=3)) == without_times(first)
    assert without_times(Proxy(QUICK).evaluate(SMALL, seed=3)) == without_times(first)
    assert without_times(quick.evaluate(SMALL, seed=4)) != without_times(first)


def test_fidelity_multiplies_the_epochs(quick):
    assert len(quick.evaluate(SMALL, seed=3, fidelity=2).curve) == 4


def test_a_candidate_for_larger_images_is_trained_on_larger_images_read_once(monkeypatch):
    loads = []
    load = module.load_dataset
    monkeypatch.setattr(module, "load_dataset", lambda *args: loads.append(args[1]) or load(*args))
    proxy = Proxy(dataclasses.replace(QUICK, epochs=1, base_resolution=224))
    larger = dataclasses.replace(SMALL, resolution=round(224 * 1.15))
    assert proxy.training.miniature(SMALL).resolution == 8
    assert proxy.training.miniature(larger).resolution == 9  # 8 * 258 / 224 = 9.2
    assert Proxy(dataclasses.replace(QUICK, epochs=1)).training.miniature(larger).resolution == 8
    loads.clear()
    first = proxy.evaluate(larger, seed=3)
    assert without_times(proxy.evaluate(larger, seed=3)) == without_times(first)
    assert without_times(proxy.evaluate(SMALL, seed=3)) != without_times(first)
    assert loads == [9]
    assert torch.equal(proxy.training._images(9).labels, proxy.training._data.labels)


def test_threads_are_those_of_the_config_and_given_back(quick, monkeypatch):
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        seen = []
        monkeypatch.setattr(Trainer, "step", lambda *args: seen.append(torch.get_num_threads()) or _fail())
        with pytest.raises(RuntimeError, match="a bug"):
            quick.evaluate(SMALL, seed=0)
        assert seen == [QUICK.threads] == [1]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def _fail():
    raise RuntimeError("a bug")


def test_the_split_is_stratified_and_the_same_whatever_the_seed_of_the_candidate(quick):
    other = Proxy(QUICK)
    assert torch.equal(quick.training._validation, other.training._validation)
    assert not set(quick.training._train.tolist()) & set(quick.training._validation.tolist())
    assert len(quick.training._train) + len(quick.training._validation) == len(quick.training._data)
    assert quick.training._data.labels[quick.training._validation].bincount().tolist() == [10] * 10
    again = split(load_dataset("digits", 8).train.labels, 0.25, 1)
    every = Proxy(dataclasses.replace(QUICK, split_seed=1, max_images=None))
    assert torch.equal(every.training._train, again[0])
    assert torch.equal(every.training._validation, again[1])


def test_initial_weights_are_derived_from_the_seed(quick, monkeypatch):
    seeds = []
    build = module.build_model
    monkeypatch.setattr(
        module, "build_model", lambda small, generator: seeds.append(generator.initial_seed()) or build(small)
    )
    monkeypatch.setattr(Trainer, "step", lambda *args: torch.tensor(0.0))
    for seed in (3, 4, 3):
        quick.evaluate(SMALL, seed=seed)
    assert seeds == [derive_seed(seed, "weights") for seed in (3, 4, 3)]


@pytest.mark.parametrize(("said", "mirrored"), [(None, False), (True, True), (False, False)])
def test_mirroring_is_the_data_sets_own_unless_said(said, mirrored, monkeypatch):
    seen = []
    monkeypatch.setattr(module, "fit", lambda *args, mirror, **kwargs: seen.append(mirror) or _fail())
    proxy = Proxy(dataclasses.replace(QUICK, mirror=said))
    with pytest.raises(RuntimeError):
        proxy.evaluate(SMALL, seed=0)
    assert seen == [mirrored]
    assert any("--no-mirror" in line for line in proxy.describe()["notes"]) == mirrored


def test_an_estimate_trains_some_steps_and_not_the_whole(monkeypatch):
    steps = []
    step = Trainer.step
    monkeypatch.setattr(Trainer, "step", lambda *args: steps.append(1) or step(*args))
    long = Proxy(dataclasses.replace(QUICK, epochs=1000))
    assert long.estimate(SMALL, 0) > 0
    assert len(steps) < 10


def test_large_data_stay_on_the_host_and_give_the_same_result(quick, monkeypatch):
    wanted = quick.evaluate(SMALL, seed=3)
    monkeypatch.setattr(module, "place", lambda data, device: HostImages(data.images, data.labels, device))
    host = Proxy(QUICK)
    assert isinstance(host.training._data, HostImages)
    assert without_times(host.evaluate(SMALL, seed=3)) == without_times(wanted)
    assert host.describe() == quick.describe()


def test_divergence_is_an_evaluation():
    evaluation = Proxy(dataclasses.replace(QUICK, learning_rate=1e12)).evaluate(SMALL, seed=0)
    assert evaluation.status == "diverged"
    assert evaluation.accuracy is None


def test_too_long_is_an_evaluation():
    evaluation = Proxy(dataclasses.replace(QUICK, timeout=0.01)).evaluate(SMALL, seed=0)
    assert evaluation.status == "timeout"
    assert "0 of 2 epochs" in evaluation.reason


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3 GiB"),
        MemoryError("Unable to allocate 3 GiB"),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate\nmore"),
    ],
)
def test_out_of_memory_is_infeasible(quick, monkeypatch, error):
    def step(*args):
        raise error

    monkeypatch.setattr(Trainer, "step", step)
    evaluation = quick.evaluate(SMALL, seed=0)
    assert evaluation.status == "infeasible"
    assert evaluation.reason == f"out of memory on cpu: {str(error).splitlines()[0]}"


def test_another_error_is_a_bug_and_not_hidden(quick, monkeypatch):
    monkeypatch.setattr(Trainer, "step", lambda *args: _fail())
    with pytest.raises(RuntimeError, match="a bug"):
        quick.evaluate(SMALL, seed=0)


def test_no_room_for_one_network_leaves_room_for_the_next(quick, monkeypatch):
    wanted, plain = quick.evaluate(SMALL, seed=3), Trainer.step

    def step(self, batch, generator):
        if self.model.conv_stem.out_channels > 16:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 3 GiB")
        return plain(self, batch, generator)

    monkeypatch.setattr(Trainer, "step", step)
    engine = LocalEngine(quick)
    networks = [SMALL, dataclasses.replace(SMALL, stem=64), SMALL]  # half as wide as they are trained
    jobs = [Job(trial=trial, architecture=network, seed=3) for trial, network in enumerate(networks)]
    found = [evaluation for _, evaluation in engine.run(jobs)]
    assert [evaluation.status for evaluation in found] == ["ok", "infeasible", "ok"]
    assert without_times(found[2]) == without_times(wanted)


def test_a_plain_step_is_one_setting_away(quick, monkeypatch):
    """On a CPU it is always that."""
    said = []
    monkeypatch.setattr(
        module,
        "fit",
        lambda *args, captured, **others: said.append(captured) or Evaluation(status="failed", reason="not tried"),
    )
    quick.evaluate(SMALL, seed=0)
    Proxy(dataclasses.replace(QUICK, captured=False)).evaluate(SMALL, seed=0)
    assert said == [True, False]


def test_a_search_reads_no_test_image(tmp_path, monkeypatch):
    opened = []
    for label in ("a", "b"):
        for part in ("train", "val"):
            (tmp_path / part / label).mkdir(parents=True)
            for number in range(8):
                Image.new("RGB", (8, 8), "white" if label == "a" else "black").save(
                    tmp_path / part / label / f"{number}.png"
                )
    monkeypatch.setattr(image_folder, "decode", lambda path, side: opened.append(path) or DECODE(path, side))
    evaluator = Proxy(
        dataclasses.replace(QUICK, data=f"folder:{tmp_path}", cache_dir=str(tmp_path / "cache"), batch_size=4)
    )
    assert evaluator.evaluate(SMALL, seed=0).status == "ok"
    assert len(opened) == 16
    assert {path.relative_to(tmp_path).parts[0] for path in opened} == {"train"}


@pytest.mark.gpu
def test_on_a_gpu_an_evaluation_is_repeatable():
    evaluator = Proxy(dataclasses.replace(QUICK, device="cuda"))
    first = evaluator.evaluate(SMALL, seed=3)
    assert first.status == "ok"
    assert without_times(evaluator.evaluate(SMALL, seed=3)) == without_times(first)


@pytest.mark.gpu
def test_on_a_gpu_out_of_memory_is_infeasible_and_the_next_network_is_trained():
    evaluator = Proxy(dataclasses.replace(QUICK, device="cuda"))
    wanted = evaluator.evaluate(SMALL, seed=3)
    torch.cuda.empty_cache()
    total = torch.cuda.get_device_properties(0).total_memory
    torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + 2**20) / total)
    try:
        evaluation = evaluator.evaluate(dataclasses.replace(SMALL, stem=512), seed=3)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert evaluation.status == "infeasible"
    assert evaluation.reason.startswith("out of memory on cuda: ")
    assert without_times(evaluator.evaluate(SMALL, seed=3)) == without_times(wanted)


@pytest.mark.gpu
def test_on_a_gpu_large_data_on_the_host_give_the_same_result(monkeypatch):
    wanted = Proxy(dataclasses.replace(QUICK, device="cuda")).evaluate(SMALL, seed=3)
    monkeypatch.setattr("evaluator.data.placement.MOST_ON_DEVICE", 0)
    evaluator = Proxy(dataclasses.replace(QUICK, device="cuda"))
    assert isinstance(evaluator.training._data, HostImages)
    assert without_times(evaluator.evaluate(SMALL, seed=3)) == without_times(wanted)


@pytest.mark.gpu
def test_on_a_gpu_the_time_of_a_training_is_estimated():
    evaluator = Proxy(dataclasses.replace(QUICK, device="cuda", epochs=20))
    assert 0 < evaluator.estimate(SMALL, seed=3) < 3 * evaluator.evaluate(SMALL, seed=3).seconds + 1


def test_held_out_images_are_scored_and_never_trained_on(quick, monkeypatch):
    given = {}

    def watched(model, data, train, validation, recipe, **rest):
        given.update(data=data, train=train, validation=validation)
        return Evaluation(status="ok", accuracy=0.5)

    monkeypatch.setattr(module, "fit", watched)
    quick.evaluate(SMALL, seed=0)
    assert given["data"] is quick.training._data
    train, validation = split(quick.training._data.labels, QUICK.validation_share, QUICK.split_seed)
    assert torch.equal(given["train"], train)
    assert torch.equal(given["validation"], validation)


def test_time_allowed_grows_with_fidelity(quick, monkeypatch):
    deadlines = []

    def watched(*args, deadline, **rest):
        deadlines.append(deadline)
        return Evaluation(status="ok", accuracy=0.5)

    monkeypatch.setattr(module, "fit", watched)
    monkeypatch.setattr(module.time, "monotonic", lambda: 1000.0)
    for fidelity in (1, 3):
        quick.evaluate(SMALL, seed=0, fidelity=fidelity)
    assert deadlines == [1000 + QUICK.timeout, 1000 + 3 * QUICK.timeout]
    assert Proxy.time_limit(QUICK) == QUICK.timeout


def inheriting(folder, **changes):
    """The quick proxy's config with a parent, whose every tensor matters."""
    network = build_model(SMALL_PARENT, generator=torch.Generator().manual_seed(7))
    pretend_trained(network)
    (folder / "w.safetensors").write_bytes(to_bytes(network, SMALL_PARENT))
    (folder / "parent.yaml").write_text(SMALL_PARENT.to_yaml())
    paths = {"inherit": str(folder / "w.safetensors"), "parent": str(folder / "parent.yaml")}
    return dataclasses.replace(QUICK, epochs=1, width=1.0, **(paths | changes))


SMALL_PARENT = dataclasses.replace(SMALL, classes=7)


def test_every_network_begins_with_a_parents_weights(tmp_path, monkeypatch):
    config = inheriting(tmp_path)
    proxy = Proxy(config)
    begun = []

    def watched(model, *args, **more):
        begun.append((model, more["inherited"]))
        return fit(model, *args, **more)

    monkeypatch.setattr(module, "fit", watched)
    first = proxy.evaluate(SMALL, seed=3)
    assert first.status == "ok"
    assert without_times(Proxy(config).evaluate(SMALL, seed=3)) == without_times(first)  # on whatever worker
    inherited = begun[0][1]
    assert inherited.backbone_rate == 0.3
    assert inherited.retaken > 0
    assert proxy.describe()["inherit"]["classes"] == 7
    assert proxy.describe()["notes"][-1] == f"Every network begins with what it can take of {config.inherit}"
    begun.clear()
    Proxy(QUICK).evaluate(SMALL, seed=3)
    assert begun[0][1] is None
    assert "inherit" not in Proxy(QUICK).describe()


def test_the_miniature_is_narrower_smaller_and_keeps_early_strides(quick):
    small = quick.training.miniature(Architecture.load("efficientnet-b0"))
    assert (small.resolution, small.classes, small.stem, small.head, small.dropout) == (8, 10, 16, 640, 0.0)
    assert [stage.stride for stage in small.stages] == [1, 1, 2, 2, 1, 2, 1]
    assert [stage.channels for stage in small.stages] == [8, 16, 24, 40, 56, 96, 160]
    deployed = dataclasses.replace(QUICK, width=1.0, unstrided=0)
    whole = Proxy(deployed).training.miniature(Architecture.load("efficientnet-b0"))
    assert [stage.stride for stage in whole.stages] == [1, 2, 2, 2, 1, 2, 1]
    assert count(whole).params == count(Architecture.load("efficientnet-b0")).params - 990 * 1281


def test_describe_names_data_device_and_epochs(quick):
    assert quick.describe() == {
        "data": "digits",
        "classes": 10,
        "train_images": 300,
        "validation_images": 100,
        "majority_share": 0.1,
        "resolution": 8,
        "device": "cpu",
        "epochs": 2,
        "notes": ["Warning: accuracy is scored on 100 held-out images: its standard error is up to 5.0 points"],
    }
    assert "notes" not in Proxy(ProxyConfig(resolution=8)).describe()
