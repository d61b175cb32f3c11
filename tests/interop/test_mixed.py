# SPDX-License-Identifier: Apache-2.0
"""All implementations in one network."""
from driver import kinds, mixed

if __name__ == "__main__":
    kinds.main(None, mixed.CASES, "mixed")
