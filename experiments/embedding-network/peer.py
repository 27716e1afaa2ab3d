"""nncodec on the embedding network, in nncodec's own environment (see experiments/resnet32-cifar10/peer.py).

    PEER/bin/python experiments/embedding-network/peer.py RUNS/floats.safetensors RUNS/nncodec

writes bit streams and what they decode to; run.py measures whatever it finds there.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "resnet32-cifar10"))

import peer_nncodec

peer_nncodec.SETTINGS = {
    "dq": [{"qp": qp} for qp in (-24, -28, -20, -32)],
    "tools": [{"qp": qp, "opt_qp": True} for qp in (-30, -26, -22)],
}

if __name__ == "__main__":
    peer_nncodec.main()
