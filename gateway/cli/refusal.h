/* SPDX-License-Identifier: Apache-2.0 */
#ifndef CLI_REFUSAL_H
#define CLI_REFUSAL_H

#include <jansson.h>

#include "gateway/cli/http.h"
#include "gateway/cli/print.h"

/* An answer that is none: a problem (RFC 9457) of the node, something else
 * that spoke HTTP, or silence.  Told so that people know what to do. */

/* What can be done about a problem's code, "" if nobody knows. */
const char *refusal_advice(const char *code);
int refusal_exit(long status);

/* The problem in the answer, NULL if there is none.  To be released. */
json_t *refusal_problem(const struct answer *a);

/* Tell it; the exit status.  |as_json|: the problem as it came. */
int refusal_tell(const struct screen *to, const struct remote *remote,
                 const struct answer *a, bool as_json);

#endif /* CLI_REFUSAL_H */
