"""Data files installed with the package: search spaces, architectures and run presets."""
