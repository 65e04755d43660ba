"""A network outside this project: a PyTorch file, timm, ONNX."""
