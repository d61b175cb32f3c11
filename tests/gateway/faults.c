/* SPDX-License-Identifier: Apache-2.0 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

/* Preloaded into a node: its core stops at its next turn, or when it has logged
 * that it stopped; or its other threads get no memory; as long as the file
 * $FAULTS_FILE says so. */
enum { STANDS_NOT, STANDS_AT_ONCE, STANDS_AT_THE_END };

struct faults {
    volatile uint32_t core_stands;
    volatile uint32_t is_standing;
    volatile uint32_t calloc_refused; /* this size and more; 0: none */
    volatile uint32_t refused;        /* how often that was done */
};

extern void *__libc_calloc(size_t count, size_t size);

static struct faults *faults;
static volatile int has_ended;

__attribute__((constructor)) static void open_faults(void)
{
    const char *path = getenv("FAULTS_FILE");
    int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    void *at;

    if (fd < 0)
        return;
    at = mmap(NULL, sizeof(*faults), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    close(fd);
    if (at != MAP_FAILED)
        faults = at;
}

static int is_core(void)
{
    return gettid() == getpid();
}

static int must_stand(void)
{
    return faults->core_stands == STANDS_AT_ONCE ||
           (faults->core_stands == STANDS_AT_THE_END && has_ended);
}

static void stand_still(void)
{
    if (faults == NULL || !is_core())
        return;
    while (must_stand()) {
        faults->is_standing = 1;
        (void)poll(NULL, 0, 2);
    }
    faults->is_standing = 0;
}

int epoll_pwait(int fd, struct epoll_event *events, int max, int timeout,
                const sigset_t *mask)
{
    static int (*next)(int, struct epoll_event *, int, int, const sigset_t *);

    stand_still();
    if (next == NULL)
        *(void **)&next = dlsym(RTLD_NEXT, "epoll_pwait");
    return next(fd, events, max, timeout, mask);
}

int epoll_wait(int fd, struct epoll_event *events, int max, int timeout)
{
    return epoll_pwait(fd, events, max, timeout, NULL);
}

/* What a node does last before its loop turns: it tells its addresses. */
int rename(const char *from, const char *to)
{
    static int (*next)(const char *, const char *);
    int result;

    if (next == NULL)
        *(void **)&next = dlsym(RTLD_NEXT, "rename");
    result = next(from, to);
    if (strstr(to, "endpoints.json") != NULL)
        stand_still();
    return result;
}

/* A line of the log. */
ssize_t write(int fd, const void *bytes, size_t len)
{
    static const char end[] = "host: stopped";
    static ssize_t (*next)(int, const void *, size_t);

    if (next == NULL)
        *(void **)&next = dlsym(RTLD_NEXT, "write");
    if (fd == STDERR_FILENO && memmem(bytes, len, end, strlen(end)) != NULL) {
        has_ended = 1;
        stand_still();
    }
    return next(fd, bytes, len);
}

void *calloc(size_t count, size_t size)
{
    if (faults != NULL && faults->calloc_refused && !is_core() &&
        count * size >= faults->calloc_refused) {
        __atomic_fetch_add(&faults->refused, 1, __ATOMIC_RELAXED);
        errno = ENOMEM;
        return NULL;
    }
    return __libc_calloc(count, size);
}
