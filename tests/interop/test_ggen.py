# SPDX-License-Identifier: Apache-2.0
"""The ggen marketplace's own swarm, of rust-libp2p 0.54."""
from driver import ggen, kinds

if __name__ == "__main__":
    kinds.main("rust-0.54", ggen.CASES, "ggen")
