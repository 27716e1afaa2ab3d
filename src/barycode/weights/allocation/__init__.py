"""What is measured: how the step is shared among tensors, which step fills a size, what became of each."""
