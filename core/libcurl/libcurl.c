/* SPDX-License-Identifier: Apache-2.0 */
#include "libcurl/libcurl.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* The name of the interface we are compiled with. */
#define SONAME "libcurl.so.4"

/* Those that hand their arguments on as they are, and what they return while
 * there is no library. */
#define PLAIN(X)                                                               \
    X(CURLcode, global_init, (long flags), (flags), CURLE_FAILED_INIT)         \
    X(CURL *, easy_init, (void), (), NULL)                                     \
    X(CURLcode, easy_perform, (CURL * easy), (easy), CURLE_FAILED_INIT)        \
    X(const char *, easy_strerror, (CURLcode code), (code), "no libcurl")      \
    X(struct curl_slist *, slist_append,                                       \
      (struct curl_slist * list, const char *text), (list, text), NULL)        \
    X(CURLM *, multi_init, (void), (), NULL)                                   \
    X(CURLMcode, multi_add_handle, (CURLM * multi, CURL * easy),               \
      (multi, easy), CURLM_INTERNAL_ERROR)                                     \
    X(CURLMcode, multi_remove_handle, (CURLM * multi, CURL * easy),            \
      (multi, easy), CURLM_INTERNAL_ERROR)                                     \
    X(CURLMcode, multi_perform, (CURLM * multi, int *running),                 \
      (multi, running), CURLM_INTERNAL_ERROR)                                  \
    X(CURLMsg *, multi_info_read, (CURLM * multi, int *left), (multi, left),   \
      NULL)                                                                    \
    X(CURLMcode, multi_poll,                                                   \
      (CURLM * multi, struct curl_waitfd fds[], unsigned count, int wait_ms,   \
       int *ready),                                                            \
      (multi, fds, count, wait_ms, ready), CURLM_INTERNAL_ERROR)               \
    X(CURLMcode, multi_wakeup, (CURLM * multi), (multi), CURLM_INTERNAL_ERROR) \
    X(CURLMcode, multi_cleanup, (CURLM * multi), (multi), CURLM_INTERNAL_ERROR)

/* The same without a result. */
#define SILENT(X)                          \
    X(global_cleanup, (void), ())          \
    X(easy_cleanup, (CURL * easy), (easy)) \
    X(easy_reset, (CURL * easy), (easy))   \
    X(slist_free_all, (struct curl_slist * list), (list))

/* Those with one more argument, whose type another one tells. */
#define TYPED(X) X(easy_setopt) X(easy_getinfo) X(multi_setopt)

/* All of them, by name alone. */
#define PLAIN_NAME(type, name, params, args, otherwise) EACH(name)
#define SILENT_NAME(name, params, args) EACH(name)
#define TYPED_NAME(name) EACH(name)
#define ALL PLAIN(PLAIN_NAME) SILENT(SILENT_NAME) TYPED(TYPED_NAME)

static struct {
#define EACH(name) __typeof__(curl_##name) *name;
    ALL
#undef EACH
} real;

static const struct {
    const char *name;
    size_t offset;
} symbols[] = {
#define EACH(name) {"curl_" #name, offsetof(__typeof__(real), name)},
    ALL
#undef EACH
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static atomic_bool is_loaded;

/* ---- Loading. ---- */

static enum err find_symbols(void *library)
{
    for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
        void *at = dlsym(library, symbols[i].name);

        if (at == NULL)
            return ERR_IO;
        memcpy((char *)&real + symbols[i].offset, &at, sizeof(at));
    }
    return OK;
}

static enum err load(char why[LIBCURL_WHY_MAX])
{
    void *library = dlopen(SONAME, RTLD_NOW | RTLD_LOCAL);
    const char *text;

    if (library != NULL && find_symbols(library) == OK)
        return OK;
    text = dlerror();
    (void)snprintf(why, LIBCURL_WHY_MAX, "%s", text ? text : SONAME);
    if (library != NULL)
        (void)dlclose(library);
    return ERR_IO;
}

enum err libcurl_load(char why[LIBCURL_WHY_MAX])
{
    enum err err = OK;

    pthread_mutex_lock(&lock);
    if (!atomic_load_explicit(&is_loaded, memory_order_relaxed)) {
        err = load(why);
        if (err == OK)
            atomic_store_explicit(&is_loaded, true, memory_order_release);
    }
    pthread_mutex_unlock(&lock);
    return err;
}

static bool is_there(void)
{
    return atomic_load_explicit(&is_loaded, memory_order_acquire);
}

/* ---- The functions.  In parentheses: some are macros, too. ---- */

#define X(type, name, params, args, otherwise) \
    type(curl_##name) params                   \
    {                                          \
        if (!is_there())                       \
            return otherwise;                  \
        return real.name args;                 \
    }
PLAIN(X)
#undef X

#define X(name, params, args) \
    void(curl_##name) params  \
    {                         \
        if (is_there())       \
            real.name args;   \
    }
SILENT(X)
#undef X

/* spec: curl/curl.h, CURLOPTTYPE_…: the option's ten thousands are the type of
 * what comes with it; the library reads it with va_arg of that type. */
CURLcode(curl_easy_setopt)(CURL *easy, CURLoption option, ...)
{
    CURLcode code;
    va_list args;

    if (!is_there())
        return CURLE_FAILED_INIT;
    va_start(args, option);
    if (option < CURLOPTTYPE_OBJECTPOINT)
        code = real.easy_setopt(easy, option, va_arg(args, long));
    else if (option >= CURLOPTTYPE_OFF_T && option < CURLOPTTYPE_BLOB)
        code = real.easy_setopt(easy, option, va_arg(args, curl_off_t));
    else
        code = real.easy_setopt(easy, option, va_arg(args, void *));
    va_end(args);
    return code;
}

CURLMcode(curl_multi_setopt)(CURLM *multi, CURLMoption option, ...)
{
    CURLMcode code;
    va_list args;

    if (!is_there())
        return CURLM_INTERNAL_ERROR;
    va_start(args, option);
    if ((int)option < CURLOPTTYPE_OBJECTPOINT)
        code = real.multi_setopt(multi, option, va_arg(args, long));
    else if ((int)option >= CURLOPTTYPE_OFF_T)
        code = real.multi_setopt(multi, option, va_arg(args, curl_off_t));
    else
        code = real.multi_setopt(multi, option, va_arg(args, void *));
    va_end(args);
    return code;
}

/* Always a pointer to where it shall be put. */
CURLcode(curl_easy_getinfo)(CURL *easy, CURLINFO info, ...)
{
    CURLcode code;
    va_list args;

    if (!is_there())
        return CURLE_FAILED_INIT;
    va_start(args, info);
    code = real.easy_getinfo(easy, info, va_arg(args, void *));
    va_end(args);
    return code;
}
