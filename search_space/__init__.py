"""What can be built: architectures, their exact cost, the spaces they are drawn from."""
