# SPDX-License-Identifier: Apache-2.0
"""rust-libp2p 0.54, the marketplace's own version, as a stranger."""
from driver import kinds

if __name__ == "__main__":
    kinds.main("rust-0.54")
