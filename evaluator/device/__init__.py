"""What runs networks: which device, with how many threads, how a step is launched there, and what it costs."""
