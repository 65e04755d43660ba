import ast

from nas.export import torch_parts


def test_every_part_of_a_layer_is_a_class_of_its_name() -> None:
    for name, text in torch_parts.LAYERS.values():
        plain = text.replace("SIGNATURE", torch_parts.SIGNATURE).replace("GATE[", "(").replace(")]", "))")
        (made,) = ast.parse(plain).body
        assert isinstance(made, ast.ClassDef)
        assert made.name == name
