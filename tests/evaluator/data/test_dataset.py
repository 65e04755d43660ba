import sys
import types

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from evaluator.data.dataset import Dataset, Images, load_dataset, split
from search_space.errors import InputError

PIXELS = torch.zeros(4, 3, 8, 8, dtype=torch.uint8)


def make_dataset(**fields):
    pixels = torch.zeros(4, 1, 8, 8, dtype=torch.uint8)
    usual = {"name": "own", "classes": ("a", "b"), "train": Images(pixels, torch.tensor([0, 1, 0, 1]))}
    return Dataset(**{**usual, "load_test": lambda: Images(pixels, torch.tensor([0, 0, 1, 1])), **fields})


@pytest.fixture
def own_module(monkeypatch):
    """A user's module ``own_data``; set its attribute ``load``."""
    module = types.ModuleType("own_data")
    monkeypatch.setitem(sys.modules, "own_data", module)
    # As a package on disk would have it: names are resolved with importlib.
    module.__spec__ = types.SimpleNamespace(name="own_data")
    return module


def test_digits_are_three_channels_at_their_own_or_the_resolution_asked_for():
    own, small = load_dataset("digits"), load_dataset("digits", 8)
    assert own.train.images.shape == (1500, 3, 16, 16)
    assert small.train.images.shape == (1500, 3, 8, 8)
    assert small.train.images.dtype == torch.uint8
    assert len(own.load_test()) == 297
    assert len(own.classes) == 10
    assert not own.mirror
    # The first digit of the set is a 0; its pixels in the corner are empty and in the ring are not.
    assert int(small.train.labels[0]) == 0
    assert small.train.images[0, 0].tolist()[0] == [0, 0, 80, 207, 143, 16, 0, 0]  # 0 0 5 13 9 1 0 0, times 255 / 16
    assert torch.equal(small.train.images[:, 0], small.train.images[:, 2])


def test_digits_are_those_of_scikit_learn() -> None:
    from sklearn.datasets import load_digits

    theirs, ours = load_digits(), load_dataset("digits", 8)
    test = ours.load_test()
    images = torch.cat([ours.train.images, test.images])[:, 0]
    assert torch.equal(images, torch.from_numpy(theirs.images * (255 / 16)).round().byte())
    assert torch.equal(torch.cat([ours.train.labels, test.labels]), torch.from_numpy(theirs.target).long())
    assert ours.classes == tuple(str(name) for name in theirs.target_names)


def test_digits_take_no_argument():
    with pytest.raises(InputError, match="digits takes no argument"):
        load_dataset("digits:here")


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(
        InputError, match=r"unknown data 'digit' \(did you mean 'digits'\?\): known are digits, fashion"
    ):
        load_dataset("digit")


def test_a_bare_folder_gets_a_hint(tmp_path):
    with pytest.raises(InputError, match="did you mean 'folder:"):
        load_dataset(str(tmp_path))


@pytest.mark.parametrize("name", ["folder", "mnist", "fashion-mnist", "cifar10"])
def test_a_folder_is_needed_and_must_exist(name, tmp_path):
    with pytest.raises(InputError, match=f"needs a folder: {name}:DIR"):
        load_dataset(name)
    with pytest.raises(InputError, match="missing is not a folder"):
        load_dataset(f"{name}:{tmp_path}/missing")


def test_a_users_own_function_is_asked_and_its_images_are_resized_once(own_module):
    requests = []
    own_module.load = lambda request: requests.append(request) or make_dataset()
    dataset = load_dataset("own_data:load", 16)
    assert dataset.train.images.shape == (4, 3, 16, 16)
    assert dataset.load_test().images.shape == (4, 3, 16, 16)
    assert requests[0].resolution == 16
    assert load_dataset("own_data:load").train.images.shape == (4, 3, 8, 8)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"train": Images(torch.zeros(2, 3, 8, 8), torch.tensor([0, 1]))}, "images must be uint8"),
        ({"train": Images(torch.zeros(2, 8, 8, dtype=torch.uint8), torch.tensor([0, 1]))}, "images must be uint8"),
        ({"train": Images(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), torch.tensor([0]))}, "2 images and 1 labels"),
        ({"train": Images(torch.zeros(0, 3, 8, 8, dtype=torch.uint8), torch.tensor([]))}, "0 images and 0 labels"),
        ({"train": Images(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), torch.tensor([0, 2]))}, "labels must be 0 to 1"),
        ({"train": Images(torch.zeros(2, 3, 8, 8, dtype=torch.uint8), torch.tensor([1, 1]))}, "at least two classes"),
        (
            {"train": Images(PIXELS, torch.eye(2)[[0, 1, 0, 1]])},
            r"labels must be class numbers, int64 \(N,\), got torch.float32 \(4, 2\); of one-hot rows, labels.argmax",
        ),
        ({"train": Images(PIXELS, torch.tensor([0.0, 1, 0, 1]))}, r"labels must be .*, got torch.float32 \(4,\)$"),
        ({"train": Images(PIXELS, torch.tensor([False, True, False, True]))}, "labels must be .*, got torch.bool"),
        (
            {"train": Images(PIXELS.numpy(), torch.tensor([0, 1, 0, 1]))},
            "Images of two tensors, got .* ndarray and Tensor",
        ),
        ({"train": (PIXELS, torch.tensor([0, 1, 0, 1]))}, "Images of two tensors, got tuple"),
        ({"train": Images(PIXELS[:, :, :0], torch.tensor([0, 1, 0, 1]))}, "4 images and 4 labels; as many, and some"),
        ({"classes": ("a",)}, r"classes must be a tuple of names of at least two classes, all different, got \('a',\)"),
        ({"classes": ("a", "a")}, "classes must be a tuple of names of at least two classes"),
        ({"classes": "ab", "mirror": 1}, "classes must be .* got 'ab'; mirror must be True or False, got 1"),
        ({"load_test": 1}, "load_test must be a function or None, got 1"),
    ],
)
def test_wrong_data_of_a_users_own_are_named(own_module, fields, message):
    own_module.load = lambda request: make_dataset(**fields)
    with pytest.raises(InputError, match=message):
        load_dataset("own_data:load")


def test_what_a_users_own_function_raises_is_one_line(own_module):
    def load(request):
        raise KeyError("no column\nlabel")

    own_module.load = load
    with pytest.raises(InputError, match=r"^data 'own_data:load': KeyError: .*no column.*label'$") as error:
        load_dataset("own_data:load")
    assert "\n" not in str(error.value)
    own_module.load = lambda request: make_dataset(load_test=lambda: 1 / 0)
    with pytest.raises(InputError, match=r"^data 'own_data:load': ZeroDivisionError: division by zero$"):
        load_dataset("own_data:load").load_test()


def test_test_images_are_held_to_the_same_contract(own_module):
    own_module.load = lambda request: make_dataset(load_test=lambda: Images(PIXELS, torch.tensor([0, 1, 2, 0])))
    with pytest.raises(InputError, match="own_data:load, test images': labels must be 0 to 1, got 0 to 2"):
        load_dataset("own_data:load").load_test()


def test_a_users_own_function_must_return_a_dataset(own_module):
    own_module.load = lambda request: [1, 2, 3]
    with pytest.raises(InputError, match=r"expected an evaluator\.data\.Dataset, got list"):
        load_dataset("own_data:load")


def test_a_name_that_is_not_a_function_is_refused(own_module):
    own_module.load = 3
    with pytest.raises(InputError, match="expected a function, got int"):
        load_dataset("own_data:load")


@pytest.mark.parametrize("spec", ["", ":", "./missing", "..missing", "/missing", "no_such_package.data:load"])
def test_what_names_nothing_is_one_clear_error(spec):
    with pytest.raises(InputError, match="data"):
        load_dataset(spec)


def test_the_test_set_is_not_read_until_asked_for(own_module):
    def load_test():
        raise AssertionError("the test set was read")

    own_module.load = lambda request: make_dataset(load_test=load_test)
    dataset = load_dataset("own_data:load", 16)
    with pytest.raises(InputError, match="the test set was read"):
        dataset.load_test()


@given(
    counts=st.lists(st.integers(2, 30), min_size=2, max_size=5),
    share=st.floats(0.01, 0.99),
    seed=st.integers(0, 2**40),
)
def test_a_split_is_stratified_complete_and_fixed_by_its_seed(counts, share, seed):
    labels = torch.cat([torch.full((count,), label) for label, count in enumerate(counts)])
    labels = labels[torch.randperm(len(labels), generator=torch.Generator().manual_seed(1))]
    first, second = split(labels, share, seed)
    assert sorted(first.tolist() + second.tolist()) == list(range(len(labels)))
    for label, count in enumerate(counts):
        held_out = int((labels[second] == label).sum())
        assert 1 <= held_out <= count - 1
        assert abs(held_out - share * count) <= 1
    again = split(labels, share, seed)
    assert torch.equal(first, again[0])
    assert torch.equal(second, again[1])


def test_another_seed_splits_otherwise():
    labels = torch.arange(100) % 2
    assert not torch.equal(split(labels, 0.3, 0)[1], split(labels, 0.3, 1)[1])


def test_a_class_of_one_image_is_named(tmp_path):
    for name, count in (("cat", 2), ("dog", 1)):
        (tmp_path / name).mkdir()
        for number in range(count):
            Image.new("RGB", (8, 8)).save(tmp_path / name / f"{number}.png")
    with pytest.raises(InputError, match="one image of dog; a class needs two"):
        load_dataset(f"folder:{tmp_path}", 8, tmp_path / "cache")


def test_a_class_of_one_image_cannot_be_split():
    with pytest.raises(InputError, match="class 1 has one image"):
        split(torch.tensor([0, 0, 1]), 0.5, 0)
