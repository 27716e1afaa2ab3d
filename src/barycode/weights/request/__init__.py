"""What is asked: how small or how exact (targets), and what may be done to which tensor (rules)."""
