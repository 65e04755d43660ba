"""How good is it: evaluators turn an architecture into an accuracy, objectives into a reward."""
