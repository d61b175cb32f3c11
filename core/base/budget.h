/* SPDX-License-Identifier: Apache-2.0 */
#ifndef BASE_BUDGET_H
#define BASE_BUDGET_H

#include <stdint.h>

#include "base/mem.h"

/* Memory with a bound: allocations through |mem| come from |under| as long as
 * all of them together stay below |max|, and fail beyond it.  For what peers
 * make grow; never for mem_new(), which aborts.  Budgets may be stacked.  The
 * struct must stay where it is while anything of it is allocated. */
struct budget {
    struct mem mem;
    const struct mem *under;
    size_t used, max;
    uint64_t refused;
};

void budget_init(struct budget *b, size_t max, const struct mem *under);
/* Everything must have been freed. */
void budget_release(struct budget *b);

#endif /* BASE_BUDGET_H */
