"""From text and files to values and back."""
