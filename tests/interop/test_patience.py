# SPDX-License-Identifier: Apache-2.0
"""Cases that wait for long, for all implementations at once."""
from driver import kinds

if __name__ == "__main__":
    kinds.main_aside()
