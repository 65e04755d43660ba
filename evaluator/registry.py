"""All evaluators and data sets by name. A user's own is named ``package.module:Class``."""

EVALUATORS = {
    "proxy": "evaluator.proxy:Proxy",
}
