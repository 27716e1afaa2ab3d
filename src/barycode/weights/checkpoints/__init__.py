"""Where tensors come from and go to: state dicts and checkpoint files."""
