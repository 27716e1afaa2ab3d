"""The network codec: state dicts into small files and back."""
