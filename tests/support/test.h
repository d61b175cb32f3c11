/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SUPPORT_TEST_H
#define SUPPORT_TEST_H

/* cmocka with what it needs, and the few checks every test wants. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "base/span.h"
#include "souk/err.h"
#include "support/heap.h"
#include "support/hex.h"

/* The two errors, by name in the message. */
#define assert_err(want, got) assert_string_equal(err_name(want), err_name(got))
#define assert_ok(got) assert_err(OK, got)

#define assert_span_equal(want, got)                               \
    do {                                                           \
        struct span want_ = (want), got_ = (got);                  \
        assert_int_equal(want_.len, got_.len);                     \
        if (want_.len > 0)                                         \
            assert_memory_equal(want_.data, got_.data, want_.len); \
    } while (0)

#endif /* SUPPORT_TEST_H */
