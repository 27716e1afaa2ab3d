"""The table of nearest code vectors: `barycode bench nearest`, written to a file.

python benchmarks/peers.py .venv-peers
.venv-peers/bin/python benchmarks/assignment.py --output benchmarks/results/assignment.json
"""

from __future__ import annotations

from barycode.benchmarks.nearest_codes import SHAPES, measure
from barycode.benchmarks.shape_table import measure_shapes

if __name__ == "__main__":
    measure_shapes(__doc__, SHAPES, measure, ("faiss-cpu", "vector-quantize-pytorch"), rounds=15)
