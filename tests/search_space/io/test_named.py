import functools
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from search_space.errors import InputError
from search_space.io import named

KNOWN = {"dict": "collections:OrderedDict", "counter": "collections:Counter"}


def test_known_names_with_and_without_an_argument() -> None:
    import collections

    assert named.load_object("thing", "dict", KNOWN) == (collections.OrderedDict, None)
    assert named.load_object("thing", "counter:a:b", KNOWN) == (collections.Counter, "a:b")


def test_import_paths() -> None:
    assert named.load_object("thing", "collections.abc:Mapping", KNOWN) == (Mapping, None)
    assert named.load_object("thing", "pathlib:Path", KNOWN) == (Path, None)


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("dcit", r"unknown thing 'dcit' \(did you mean 'dict'\?\): known are dict, counter, or package.module:Class"),
        ("zzz", "unknown thing 'zzz': known are dict, counter"),
        ("", "unknown thing ''"),
        ("zzz:y", "unknown thing 'zzz:y'"),
        ("no.such:Thing", "thing 'no.such:Thing': cannot import no.such"),
        ("./photos", r"unknown thing './photos': known are"),
        ("../photos:Thing", r"unknown thing '../photos:Thing': known are"),
        ("collections.abc:Nothing", "collections.abc has no 'Nothing'"),
        ("__main__:nothing", "__main__ has no 'nothing'"),
        ("collections.abc", "unknown thing 'collections.abc': known are"),
        ("collections..abc:Mapping", "cannot import collections..abc"),
    ],
)
def test_unknown_names_list_the_known(spec: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        named.load_object("thing", spec, KNOWN)


@pytest.mark.parametrize("spec", ["a_stranger.module", "a_stranger.module:<lambda>", "a_stranger.module:two words"])
def test_what_does_not_count_as_code_is_not_imported(spec: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(named.importlib, "import_module", pytest.fail)
    assert not named.is_code(spec)
    with pytest.raises(InputError, match="unknown thing"):
        named.load_object("thing", spec, KNOWN)


def test_objects_without_an_importable_name_are_found_by_the_process_that_named_them() -> None:
    for thing in (lambda: 1, functools.partial(int, "2"), test_import_paths):
        assert named.load_object("thing", named.name_of(thing), KNOWN) == (thing, None)


@pytest.mark.parametrize(
    ("script", "name"), [("/a/mine.py", "mine:f"), ("<stdin>", "__main__:f"), (None, "__main__:f")]
)
def test_a_script_is_named_by_its_file(script: str | None, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def f() -> None: ...

    f.__module__, f.__qualname__ = "__main__", "f"
    monkeypatch.setattr(sys.modules["__main__"], "__file__", script, raising=False)
    assert named.name_of(f) == name


def test_installed_configs() -> None:
    assert {"efficientnet-b0", "mnasnet-a1", "mnasnet-b1"} <= set(named.config_names("architectures"))
    assert named.config_names("spaces") == ["accel-nasbench", "checkpoint", "efficientnet", "mnasnet"]
    text, source = named.read_config("space", "spaces", "mnasnet")
    assert source == "mnasnet"
    assert "nas-space/1" in text


def test_files(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("a: 1")
    assert named.read_config("space", "spaces", path) == ("a: 1", str(path))
    with pytest.raises(InputError, match=r"unknown space '.*missing.yaml': known are .*mnasnet, or the path of a YAML"):
        named.read_config("space", "spaces", tmp_path / "missing.yaml")
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(InputError, match=r"mine\.yaml: cannot be read as text"):
        named.read_config("space", "spaces", path)


@pytest.mark.parametrize(
    "spec", ["mine.module", "mine", "ïmine:Class", "mine:ïClass", "mine:", "mine:Class:more", " mine:Class"]
)
def test_only_what_counts_as_code_is_imported(spec: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run's journal may hold any name, and goes on without --trust-code where `CODE` matches none."""
    for name in ("mine", "ïmine"):
        (tmp_path / name).mkdir()
        for file in ("__init__.py", "module.py"):
            (tmp_path / name / file).write_text("raise SystemExit('imported')")
    monkeypatch.syspath_prepend(tmp_path)
    assert not named.CODE.fullmatch(spec)
    with pytest.raises(InputError, match="unknown thing"):
        named.load_object("thing", spec, KNOWN)
