"""What a training runs on: which device, with how many threads, and how its step is launched there."""
