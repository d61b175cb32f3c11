# SPDX-License-Identifier: Apache-2.0
"""go-libp2p as a stranger: its connections (its DHT and gossip live in modules
of their own)."""
from driver import kinds

if __name__ == "__main__":
    kinds.main("go")
