"""All evaluators and data sets by name, without importing them. A user's own is named ``package.module:Name``."""

EVALUATORS = {
    "proxy": "evaluator.proxy:Proxy",
    "shared": "evaluator.shared.evaluator:Shared",
    "gradient-norm": "evaluator.training_free:GradientNorm",
    "snip": "evaluator.training_free:Snip",
    "synflow": "evaluator.training_free:Synflow",
    "params": "evaluator.training_free:Params",
    "imagenet": "evaluator.tabular.table:Imagenet",
    "table": "evaluator.tabular.table:Table",
}

EXTERNAL = {"external": "evaluator.function:External"}
"""What stands in the place of an evaluator in the record of a run whose results are told."""

DATASETS = {
    "digits": "evaluator.data.dataset:load_digits",
    "fashion-mnist": "evaluator.data.binary:load_idx",
    "mnist": "evaluator.data.binary:load_idx",
    "cifar10": "evaluator.data.binary:load_cifar10",
    "folder": "evaluator.data.folder:load_folder",
}
"""Each is called with a `Request` of `evaluator.data.dataset`; what follows a colon is its argument: ``folder:DIR``."""
