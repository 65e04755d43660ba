"""A network as ONNX: input ``images`` (batch, 3, S, S), output ``logits`` (batch, classes), any batch size."""

from __future__ import annotations

import importlib
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from search_space.builder import Network
from search_space.errors import InputError

OPSET = 17


def import_onnx() -> None:
    """Make sure that onnx and onnxruntime can be imported.

    Raises:
        InputError: One of them is not installed.
    """
    for name in ("onnx", "onnxruntime"):
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise InputError(f"{name} is needed for ONNX: pip install 'nas-b0[export]' ({error})") from None


def to_bytes(network: Network, images: torch.Tensor, metadata: Mapping[str, str]) -> bytes:
    """The ONNX file of a network in evaluation mode.

    Args:
        network: On the CPU; set to evaluation mode.
        images: An example input (batch, 3, S, S); the batch size stays open.
        metadata: What else is to ride along, by name.
    """
    batch = {0: "batch"}
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        path = Path(folder, "network.onnx")
        # The older exporter is used on purpose: plain convolutional networks need no more, it takes a second instead
        # of six, and it is in every version of torch that we allow.
        warnings.simplefilter("ignore")
        torch.onnx.export(
            network.eval(),
            (images,),
            path,
            input_names=["images"],
            output_names=["logits"],
            dynamic_axes={"images": batch, "logits": batch},
            opset_version=OPSET,
            dynamo=False,
        )
        model = importlib.import_module("onnx").load(path)
    importlib.import_module("onnx.helper").set_model_props(model, dict(metadata))
    content: bytes = model.SerializeToString()
    return content


def open_session(model: bytes) -> Any:
    """An onnxruntime session on one CPU thread."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])


def run(session: Any, images: torch.Tensor) -> torch.Tensor:
    """The logits (batch, classes) that onnxruntime computes."""
    (logits,) = session.run(["logits"], {"images": images.numpy()})
    return torch.from_numpy(logits)
