/* SPDX-License-Identifier: Apache-2.0 */
#include "noise/noise.h"
