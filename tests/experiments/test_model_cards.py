import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_the_cards_are_those_of_the_shipped_models():
    script = [sys.executable, "experiments/kodak/cards.py", "--check"]
    done = subprocess.run(script, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
