/* SPDX-License-Identifier: Apache-2.0 */
#include "multi/multiaddr.h"
