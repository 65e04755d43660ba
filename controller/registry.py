"""All controllers by name. A user's own is named ``package.module:Class``."""

CONTROLLERS = {
    "reinforce": "controller.reinforce:Reinforce",
    "ppo": "controller.ppo:PPO",
    "evolution": "controller.evolution:Evolution",
    "guided": "controller.guided:Guided",
    "random": "controller.random_search:RandomSearch",
}
