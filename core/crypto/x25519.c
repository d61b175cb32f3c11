/* SPDX-License-Identifier: Apache-2.0 */
#include "crypto/x25519.h"
