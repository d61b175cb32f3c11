# SPDX-License-Identifier: Apache-2.0
"""rust-libp2p 0.57, the newest, as a stranger."""
from driver import kinds

if __name__ == "__main__":
    kinds.main("rust-0.57")
