/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/ed25519.h"
