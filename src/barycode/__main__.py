"""`python -m barycode` is the command line."""

from barycode.cli.main import run

if __name__ == "__main__":
    run()
