# SPDX-License-Identifier: Apache-2.0
"""py-libp2p as a stranger."""
from driver import kinds

if __name__ == "__main__":
    kinds.main("py")
