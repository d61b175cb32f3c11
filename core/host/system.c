/* SPDX-License-Identifier: Apache-2.0 */
#include "host/system.h"

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static void fill_random(void *ctx, void *out, size_t n)
{
    unsigned char *at = out;

    (void)ctx;
    while (n > 0) {
        ssize_t got = getrandom(at, n, 0);

        if (got < 0 && errno != EINTR)
            abort(); /* no keys without randomness */
        if (got > 0) {
            at += got;
            n -= (size_t)got;
        }
    }
}

const struct rng rng_system = {.fill = fill_random};

static struct timespec read_clock(clockid_t id)
{
    struct timespec t;
    int failed = clock_gettime(id, &t);

    assert(!failed);
    (void)failed;
    return t;
}

tstamp clock_now(void)
{
    struct timespec t = read_clock(CLOCK_MONOTONIC);

    return (tstamp)t.tv_sec * SECONDS + (tstamp)t.tv_nsec;
}

wall_ms clock_wall(void)
{
    struct timespec t = read_clock(CLOCK_REALTIME);

    return (wall_ms)t.tv_sec * 1000 + (wall_ms)t.tv_nsec / 1000000;
}

enum err err_from_errno(int code)
{
    switch (code) {
    case 0:
        return OK;
    case ETIMEDOUT:
        return ERR_TIMEOUT;
    case ECONNRESET:
    case EPIPE:
    case ECONNABORTED:
        return ERR_CLOSED;
    case ECONNREFUSED:
    case EHOSTUNREACH:
    case ENETUNREACH:
    case EHOSTDOWN:
    case ENETDOWN:
    case EADDRNOTAVAIL:
    case EAFNOSUPPORT:
    case EACCES:
    case EPERM:
        return ERR_DIAL_FAILED;
    case EMFILE:
    case ENFILE:
    case ENOBUFS:
        return ERR_LIMIT;
    case ENOMEM:
        return ERR_NOMEM;
    default:
        return ERR_IO;
    }
}

enum err descriptors_want(size_t wanted, char why[256])
{
    struct rlimit limit;

    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return OK; /* nothing known, nothing refused */
    if (limit.rlim_cur >= wanted)
        return OK;
    if (limit.rlim_max >= wanted) {
        limit.rlim_cur = wanted;
        if (setrlimit(RLIMIT_NOFILE, &limit) == 0)
            return OK;
    }
    (void)snprintf(why, 256,
                   "%zu file descriptors may be needed and the process may "
                   "open %llu: raise its limit (ulimit -n, LimitNOFILE=) or "
                   "lower conns_max and http_conns_max",
                   wanted, (unsigned long long)limit.rlim_max);
    return ERR_LIMIT;
}

/* Linux tells how many there are as the size of the folder, since 6.2. */
static uint64_t descriptors_open(void)
{
    struct stat st;
    uint64_t count = 0;
    DIR *dir;

    if (stat("/proc/self/fd", &st) == 0 && st.st_size > 0)
        return (uint64_t)st.st_size;
    dir = opendir("/proc/self/fd");
    if (dir == NULL)
        return 0;
    for (struct dirent *e; (e = readdir(dir)) != NULL;)
        count += e->d_name[0] != '.';
    (void)closedir(dir);
    return count > 0 ? count - 1 : 0; /* less the folder itself */
}

void descriptors_usage(struct usage *out)
{
    struct rlimit limit;

    out->use = descriptors_open();
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0)
        out->limit = limit.rlim_cur;
}

/* spec: sd_notify(3), "$NOTIFY_SOCKET"
 *   a datagram socket of that path; '@' stands for the 0 of an abstract name */
static bool notify_address(struct sockaddr_un *to, socklen_t *len)
{
    const char *path = getenv("NOTIFY_SOCKET");
    size_t n = path ? strlen(path) : 0;

    if (n < 2 || n >= sizeof(to->sun_path) ||
        (path[0] != '/' && path[0] != '@'))
        return false;
    *to = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(to->sun_path, path, n);
    if (path[0] == '@')
        to->sun_path[0] = '\0';
    *len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
    return true;
}

/* Not by libsystemd, which brings five more libraries for this one line. */
void service_notify(const char *state)
{
    struct sockaddr_un to;
    socklen_t len;
    int fd;

    if (!notify_address(&to, &len))
        return;
    fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return;
    (void)sendto(fd, state, strlen(state), MSG_NOSIGNAL,
                 (const struct sockaddr *)&to, len);
    (void)close(fd);
}
