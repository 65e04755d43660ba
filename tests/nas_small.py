"""A network that is built, exported and trained in no time."""

from search_space.architecture import Architecture, Stage

SMALL = Architecture(
    resolution=32,
    classes=5,
    stem=8,
    stages=(
        Stage(op="mbconv", expand=1, kernel=3, channels=8, se=0.25),
        Stage(op="mbconv", expand=3, kernel=5, stride=2, channels=16, layers=2),
    ),
    head=16,
)
