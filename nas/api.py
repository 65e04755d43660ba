"""The Python interface: what the commands do, as functions. Import the names from `nas`."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nas import config
from nas.config import SearchConfig, given
from nas.runs import directory, warm_start
from nas.runs import record as records
from nas.runs.deployment import deployed, load_space
from nas.runs.grid import GridRun
from nas.runs.header import check_time, check_trusted, differences, recorded_config
from nas.runs.planning import PLANNED, plan_search
from nas.runs.record import RunRecord
from nas.runs.search import StudyRun
from search_space.architecture import Architecture
from search_space.errors import InputError
from search_space.io import named

if TYPE_CHECKING:
    from nas.history import Trial
    from search_space.builder import Network


def create_study(
    target_flops: str | int,
    *,
    space: Any = None,
    controller: Any = "guided",
    evaluator: Any = None,
    objective: str | Mapping[str, Any] = "soft",
    resolution: int | None = None,
    classes: int | None = None,
    run_dir: str | Path | None = None,
    seed: int = 0,
    resume: bool = False,
    trust_code: bool = False,
    earlier: tuple[str | Path, ...] = (),
    **settings: Any,
) -> StudyRun:
    """Begin a search, or go on with one.

    Args:
        target_flops: Multiply-adds an image: ``"400M"``, ``0.4e9``.
        space: A space's name, YAML file or ``package.module:NAME``, or an object with decisions and decode; None for
            the evaluator's own.
        controller: A name, ``package.module:NAME``, a subclass of `Controller`, or a mapping of name, preset, settings.
        evaluator: A name, ``package.module:NAME``, a subclass of `Evaluator`, a function, or a mapping of name, preset
            and settings (``data`` may be a function); None leaves it to `StudyRun.optimize`, or to `ask` and `tell`.
        objective: ``soft``, ``hard`` or ``absolute``, or a mapping of kind, alpha, beta, ...
        resolution: Side of the images that the network will see, pixels; None for the data's own, or the space's.
        classes: Classes that it will tell apart; None for the data's, or the space's.
        run_dir: Where results go; None for ``runs/<date>-<time>``.
        seed: The same seed gives the same search.
        resume: Go on with the run in `run_dir` if there is one.
        trust_code: Import code and write to folders that its journal names and this call does not.
        earlier: Journals, run directories or architecture files to learn from first.
        settings: Any other: time (planned for one worker), trials, batch, band, promote, asynchronous, top, ...

    Returns:
        The study, open for writing; close it, or use it as a context manager.

    Raises:
        InputError: Wrong settings, a directory that is there already, or a journal that names what nobody here does.
    """
    started = time.monotonic()
    path, goes_on = _locate(run_dir, resume)
    asked: dict[str, Any] = {
        **given({"space": None if space is None else _name(space), "resolution": resolution, "classes": classes}),
        "target_flops": str(target_flops),
        "controller": _component(controller),
        "evaluator": _component(config.TOLD if evaluator is None else evaluator),
        "objective": objective,
        "seed": seed,
        **settings,
    }
    recorded = recorded_config(path, "nas-search") if goes_on else None
    check_trusted(path, recorded or {}, [asked], trusted=trust_code)
    resolved = _resolve(path, asked, recorded, told=evaluator is None)
    told = warm_start.read(list(map(str, earlier)), load_space(resolved), resolved.objective) if earlier else ()
    if recorded or resolved.time is None:
        return StudyRun(path, resolved, () if recorded else told, None, started)
    resolved, plan = plan_search(resolved, load_space(resolved), [asked], 1, 0.0, started)
    return StudyRun(path, resolved, told, plan, started)


def _resolve(path: Path, asked: dict[str, Any], recorded: dict[str, Any] | None, *, told: bool) -> SearchConfig:
    """The config of what is asked; of a run that goes on, the same as was recorded.

    Args:
        path: The run's directory.
        asked: What the caller says.
        recorded: The config in the run's journal; None of a new run.
        told: Whether results are told, so that the run's own evaluator stands.
    """
    if recorded is None:
        return deployed(config.resolve([asked]), [asked])
    if told:
        asked = {**asked, "evaluator": recorded["evaluator"]}
    planned = PLANNED if recorded.get("time") is not None else ()
    if told or planned or recorded.get("classes") is None:  # the size is known, or was not said in an earlier version
        resolved = config.resolve([{name: recorded.get(name) for name in ("resolution", "classes", *planned)}, asked])
    else:
        resolved = deployed(config.resolve([asked]), [asked])
    before = config.resolve([recorded])
    if changed := differences(before, resolved):
        raise InputError(f"resume: {path} was begun with other settings: {'; '.join(changed)}")
    check_time(path, before, resolved, "time=")
    return resolved


def load_run(path: str | Path) -> RunRecord:
    """A run as it lies on disk: finished, going on or stopped. Nothing that it names is imported.

    Raises:
        InputError: There is no run at `path`.
    """
    return records.load(Path(path))


def create_model(
    network: str | Path | Architecture,
    *,
    classes: int | None = None,
    weights: str | Path | None = None,
    bn_eps: float | None = None,
) -> Network:
    """A PyTorch network, untrained or with weights, in training mode on the CPU.

    BatchNorm's momentum is EfficientNet's, or that with which the weights were trained where their file says so.

    Args:
        network: An architecture, its YAML file, or an installed one's name, e.g. ``efficientnet-b0``.
        classes: Outputs; None for the architecture's own.
        weights: A safetensors or PyTorch file of this network: ours, timm's or torchvision's.
        bn_eps: BatchNorm's eps that foreign weights were made with; None for their source's usual.

    Raises:
        InputError: No such file or name, or weights of another network.
    """
    import dataclasses

    from torch import nn

    from evaluator.weights import load_weights, read_trained_on  # loads torch
    from search_space.builder import build_model

    architecture = network if isinstance(network, Architecture) else Architecture.load(network)
    if classes is not None:
        architecture = dataclasses.replace(architecture, classes=classes)
    model = build_model(architecture)
    if weights is not None:
        load_weights(model, architecture, Path(weights), bn_eps)
        if trained_on := read_trained_on(Path(weights), architecture.classes):
            for module in model.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.momentum = trained_on.batchnorm_momentum
    return model


def scale(
    network: str | Path | Architecture,
    *,
    phi: float,
    coefficients: str | Path | tuple[float, float, float] | None = None,
) -> Architecture:
    """A network scaled without training: depth alpha^phi, width beta^phi, resolution gamma^phi (EfficientNet, eq. 3).

    Args:
        network: An architecture, its YAML file, or an installed one's name.
        phi: How far; 0 keeps the network, below 0 it shrinks.
        coefficients: (alpha, beta, gamma), or the coefficients.yaml of a grid; None for the paper's 1.2, 1.1, 1.15.

    Raises:
        InputError: No such file, or a network beyond what an architecture may be or its strides allow.
    """
    from nas.grid.coefficients import PAPER, Coefficients, read

    architecture = network if isinstance(network, Architecture) else Architecture.load(network)
    if coefficients is None:
        triple = PAPER
    elif isinstance(coefficients, tuple):
        alpha, beta, gamma = coefficients
        triple = Coefficients(alpha=alpha, beta=beta, gamma=gamma)
    else:
        triple = read(Path(coefficients))
    return triple.scale(architecture, phi)


def grid_search(
    network: str | Path | None = None,
    *,
    phi: float = 1.0,
    evaluator: Any = None,
    run_dir: str | Path | None = None,
    seed: int = 0,
    resume: bool = False,
    trust_code: bool = False,
    workers: int | None = 1,
    on_trial: Callable[[Trial], None] | None = None,
    **settings: Any,
) -> GridRun:
    """Search the compound coefficients of a network on the networks that they really build, and write its family.

    Args:
        network: The baseline's YAML file or name; None for the newest run's best, else EfficientNet-B0.
        phi: Where networks are compared.
        evaluator: As `create_study` takes it; None for short trainings on the digits.
        run_dir: Where results go; None for ``runs/<date>-<time>``.
        seed: The same seed gives the same result.
        resume: Go on with the run in `run_dir` if there is one.
        trust_code: Import code and write to folders that its journal names and this call does not.
        workers: 1 evaluates in this process, more in as many Ray workers; None takes all that fit.
        on_trial: Called with each training as it finishes.
        settings: Any other setting of a grid: target_flops, step, rungs, finalists, repeats, check_phi, family, ...

    Returns:
        The finished run: `family`, `trials_dataframe()`, and coefficients.yaml in its directory.

    Raises:
        InputError: Wrong settings, or a directory that is there already.
        NasError: No network was trained on all seeds.
    """
    from contextlib import closing

    from nas.engines.make import EngineOptions, make_engine
    from nas.grid import config as grid_config

    path, goes_on = _locate(run_dir, resume)
    name, baseline, _ = grid_config.load_baseline(None if network is None else str(network), Path("runs"))
    wanted = {"evaluator": None if evaluator is None else _component(evaluator), "phi": phi, "seed": seed}
    layers = [{"name": name, "baseline": baseline}, given(wanted), settings]
    resolved = grid_config.resolve(layers)
    if resolved.compare:
        raise InputError("compare: this finds coefficients; a study of ways of scaling runs by nas-grid --compare")
    if goes_on and (recorded := recorded_config(path, "nas-grid")):
        check_trusted(path, recorded, layers, trusted=trust_code)
        if changed := differences(grid_config.resolve([recorded]), resolved):
            raise InputError(f"resume: {path} was begun with other settings: {'; '.join(changed)}")
    asked = EngineOptions(workers=workers)
    with closing(make_engine(asked, *config.make("evaluator", resolved.evaluator))) as engine:
        with GridRun(path, resolved) as run:
            run.time_baseline(engine)
            for trial in run.run(engine):
                if on_trial:
                    on_trial(trial)
            run.conclude()
    return run


def _locate(run_dir: str | Path | None, resume: bool) -> tuple[Path, bool]:
    """A run's directory, and whether there is something to go on with; else it is free."""
    path = directory.default_path() if run_dir is None else Path(run_dir)
    goes_on = resume and path.exists()
    if not goes_on:
        directory.check_free(path)
    return path, goes_on


def _name(found: Any) -> str:
    """A space as the config names it."""
    if isinstance(found, str | Path):
        return str(found)
    return named.name_of(found)


def _component(found: Any) -> Any:
    """A controller or evaluator as the config names it, with the names of what its settings hold: a data function."""
    if not isinstance(found, Mapping):
        return {"name": _name(found)}
    return {key: _name(value) if key == "name" or callable(value) else value for key, value in found.items()}
