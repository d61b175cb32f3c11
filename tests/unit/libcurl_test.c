/* SPDX-License-Identifier: Apache-2.0 */
#include "libcurl/libcurl.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <string.h>

#include "support/test.h"

/* libcurl that is not there, is another, and is there at last: in this order,
 * for once loaded it stays. */

static const char *instead; /* of the library asked for; NULL: that */

void *__real_dlopen(const char *name, int flags);
void *__wrap_dlopen(const char *name, int flags);
void *__wrap_dlopen(const char *name, int flags)
{
    return __real_dlopen(instead ? instead : name, flags);
}

static void everything_fails(void)
{
    struct curl_slist *list = curl_slist_append(NULL, "Name: value");
    CURLM *multi = curl_multi_init();
    CURL *easy = curl_easy_init();
    int count = 0;

    assert_null(list);
    assert_null(multi);
    assert_null(easy);
    assert_int_not_equal(CURLE_OK, curl_global_init(CURL_GLOBAL_DEFAULT));
    assert_int_not_equal(CURLE_OK, curl_easy_setopt(easy, CURLOPT_POST, 1L));
    assert_int_not_equal(CURLE_OK, curl_easy_perform(easy));
    assert_int_not_equal(CURLM_OK,
                         curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, 1L));
    assert_int_not_equal(CURLM_OK, curl_multi_perform(multi, &count));
    assert_null(curl_multi_info_read(multi, &count));
    assert_non_null(curl_easy_strerror(CURLE_FAILED_INIT));
    curl_slist_free_all(list);
    curl_easy_cleanup(easy);
    curl_global_cleanup();
}

static void what_is_not_there_is_said_and_nothing_works(void **state)
{
    char why[LIBCURL_WHY_MAX] = "";

    (void)state;
    everything_fails();
    instead = "libcurl-that-nobody-has.so.4";
    assert_err(ERR_IO, libcurl_load(why));
    assert_non_null(strstr(why, instead));
    everything_fails();
}

static void a_library_that_lacks_a_function_is_none(void **state)
{
    char why[LIBCURL_WHY_MAX] = "";

    (void)state;
    instead = "libc.so.6";
    assert_err(ERR_IO, libcurl_load(why));
    assert_non_null(strstr(why, "curl_"));
    everything_fails();
}

static size_t take(char *data, size_t size, size_t count, void *ctx)
{
    size_t *taken = ctx;

    (void)data;
    *taken += size * count;
    return size * count;
}

/* Options of every type, and what they did: a transfer without a network. */
static void each_type_of_option_arrives(void **state)
{
    char why[LIBCURL_WHY_MAX] = "", name[] = __FILE__, *private = NULL;
    char error[CURL_ERROR_SIZE] = "";
    size_t taken = 0;
    long status = -1;
    CURL *easy;

    (void)state;
    instead = NULL;
    assert_ok(libcurl_load(why));
    assert_ok(libcurl_load(why));
    assert_int_equal(CURLE_OK, curl_global_init(CURL_GLOBAL_DEFAULT));
    easy = curl_easy_init();
    assert_non_null(easy);
    assert_int_equal(CURLE_OK, curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L));
    assert_int_equal(CURLE_OK, curl_easy_setopt(easy, CURLOPT_PRIVATE, name));
    assert_int_equal(CURLE_OK,
                     curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, error));
    assert_int_equal(CURLE_OK,
                     curl_easy_setopt(easy, CURLOPT_URL, "file:///dev/null"));
    assert_int_equal(CURLE_OK,
                     curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take));
    assert_int_equal(CURLE_OK,
                     curl_easy_setopt(easy, CURLOPT_WRITEDATA, &taken));
    /* Above 2^32, or its upper half could be lost on the way. */
    assert_int_equal(CURLE_OK,
                     curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE,
                                      (curl_off_t)1 << 33));
    assert_int_equal(CURLE_OK,
                     curl_easy_getinfo(easy, CURLINFO_PRIVATE, &private));
    assert_ptr_equal(private, name);
    assert_int_equal(CURLE_OK, curl_easy_setopt(easy, CURLOPT_HTTPGET, 1L));
    assert_int_equal(CURLE_OK, curl_easy_perform(easy));
    assert_int_equal(0, taken);
    assert_int_equal(CURLE_OK,
                     curl_easy_getinfo(easy, CURLINFO_RESPONSE_CODE, &status));
    assert_int_equal(0, status);
    assert_int_equal(CURLE_OK,
                     curl_easy_setopt(easy, CURLOPT_URL, "no-such-scheme://x"));
    assert_int_equal(CURLE_UNSUPPORTED_PROTOCOL, curl_easy_perform(easy));
    assert_string_not_equal("", error);
    curl_easy_cleanup(easy);
    curl_global_cleanup();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_there_is_said_and_nothing_works),
        cmocka_unit_test(a_library_that_lacks_a_function_is_none),
        cmocka_unit_test(each_type_of_option_arrives),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
