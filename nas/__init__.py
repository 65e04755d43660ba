"""The commands, and the pipeline that ties space, controller and evaluator together."""
