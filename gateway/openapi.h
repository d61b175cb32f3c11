/* SPDX-License-Identifier: Apache-2.0 */
#ifndef GATEWAY_OPENAPI_H
#define GATEWAY_OPENAPI_H

#include <stddef.h>

/* openapi/openapi.yaml as JSON, made at build time by openapi/embed.py. */
extern const char openapi_json[];
extern const size_t openapi_json_len;

#endif /* GATEWAY_OPENAPI_H */
