"""How the network of an exported Python file is used: its weights, its inputs, the names of its outputs."""

from __future__ import annotations

from evaluator.data.trained_on import TrainedOn

_LOAD = '''

def load(path: str) -> Network:
    """The network with the weights of a safetensors file, in evaluation mode."""
    from safetensors.torch import load_file

    weights = load_file(path)
    model = Network(classes=len(weights["classifier.bias"]))
    model.load_state_dict(weights)
    return model.eval()
'''
_TRAINED = '''
# Mean and deviation of the channels of the training images, pixels 0 to 255.
PIXEL_MEAN = {mean}
PIXEL_STD = {std}
CLASS_NAMES = [
{names}
]


def normalise(pixels: Tensor) -> Tensor:
    """Pixels 0 to 255, (batch, 3, height, width), as the network was trained on them."""
    mean = Tensor(PIXEL_MEAN)[:, None, None].to(pixels.device)
    std = Tensor(PIXEL_STD)[:, None, None].to(pixels.device)
    return (pixels - mean) / std
'''


def to_source(input_size: int, trained_on: TrainedOn | None) -> str:
    """The end of the file, formatted.

    Args:
        input_size: Height and width of the images that the network is for, pixels.
        trained_on: What its weights were trained on: other images, their normalisation, the names of the classes; None
            where that is not known.
    """
    size = trained_on.input_size if trained_on else input_size
    text = f"{_LOAD}\n\nINPUT_SIZE = {size}  # pixels, height and width\n"
    if trained_on is None:
        return text
    return text + _TRAINED.format(
        mean=list(trained_on.pixel_mean),
        std=list(trained_on.pixel_std),
        names="\n".join(f"    {quote(name)}," for name in trained_on.class_names),
    )


def quote(text: str) -> str:
    """A text as Python has it, in double quotes where that needs no more escapes: data, whatever it holds."""
    literal = repr(text)
    return literal if '"' in text or "'" in text else f'"{literal[1:-1]}"'
