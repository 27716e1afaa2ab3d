"""What is in the file: directory, codebooks, parts; how they are written and read."""
