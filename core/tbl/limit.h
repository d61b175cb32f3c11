/* SPDX-License-Identifier: Apache-2.0 */
#ifndef TBL_LIMIT_H
#define TBL_LIMIT_H

/* The process's limits as constants: LIMIT_CONNS_MAX and so on. */
enum {
#define LIMIT(name, value, text) LIMIT_##name = (value),
#include "tbl/limits.h"
};

#endif /* TBL_LIMIT_H */
