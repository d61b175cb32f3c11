/* SPDX-License-Identifier: Apache-2.0 */
#ifndef LIBCURL_LIBCURL_H
#define LIBCURL_LIBCURL_H

#include "souk/err.h"

/* libcurl, loaded when it is first wanted.
 *
 *      libcurl_load() ─ OK ─► curl_easy_init(), curl_easy_setopt() …
 *
 * Two megabytes of a process are it and what it stands on, and a node without
 * an OTLP collector never asks for it.  This room has the functions of
 * <curl/curl.h> that souk uses, under their own names, so callers look as ever;
 * each hands on to the library.  Before it is loaded they fail as they do when
 * memory ends.  Any thread. */

enum { LIBCURL_WHY_MAX = 192 };

/* ERR_IO: there is none, or it lacks something; |why| says what.  Once loaded
 * it stays; after a failure the next call tries again. */
MUST_USE
enum err libcurl_load(char why[LIBCURL_WHY_MAX]);

#endif /* LIBCURL_LIBCURL_H */
