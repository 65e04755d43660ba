"""All evaluators and data sets by name, without importing them. A user's own is named ``package.module:Name``."""

EVALUATORS = {
    "proxy": "evaluator.proxy:Proxy",
    "gradient-norm": "evaluator.training_free:GradientNorm",
    "snip": "evaluator.training_free:Snip",
    "synflow": "evaluator.training_free:Synflow",
    "params": "evaluator.training_free:Params",
    "accel-nasbench": "evaluator.tabular:AccelNasbench",
    "table": "evaluator.tabular:Table",
}

DATASETS = {
    "digits": "evaluator.data:load_digits",
    "fashion-mnist": "evaluator.binary_images:load_idx",
    "mnist": "evaluator.binary_images:load_idx",
    "cifar10": "evaluator.binary_images:load_cifar10",
    "folder": "evaluator.image_folder:load_folder",
}
"""Each is called with an `evaluator.data.Request`; what follows a colon is its argument, e.g. ``folder:DIR``."""
