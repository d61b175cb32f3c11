/* SPDX-License-Identifier: Apache-2.0 */
/* A file system that turns read-only under a process which has files of it open
 * for writing, as a kernel does after an error of the disk; who asks for it
 * (mount -o remount,ro) is refused as long as there are such files.  Loaded
 * before the C library:
 *
 *      LD_PRELOAD=libread_only.so READ_ONLY_DIR=DIR READ_ONLY_WHEN=FILE
 *
 * As long as FILE exists, whatever would change the file system that DIR is
 * the root of fails with EROFS. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ISO C has no cast from an object's address to a function's. */
#define NEXT(type, name)                        \
    type;                                       \
    do {                                        \
        void *found_ = dlsym(RTLD_NEXT, #name); \
                                                \
        memcpy(&next, &found_, sizeof(next));   \
    } while (0)

static bool is_read_only(void)
{
    const char *file = getenv("READ_ONLY_WHEN");

    return file != NULL && access(file, F_OK) == 0;
}

static bool is_there(dev_t device)
{
    const char *dir = getenv("READ_ONLY_DIR");
    struct stat s;

    return dir != NULL && stat(dir, &s) == 0 && s.st_dev == device;
}

static bool is_denied_fd(int fd)
{
    struct stat s;

    return is_read_only() && fstat(fd, &s) == 0 && is_there(s.st_dev);
}

/* |path|, or what it would be in, lies there. */
static bool is_denied_path(const char *path)
{
    char folder[4096];
    struct stat s;
    char *slash;

    if (!is_read_only())
        return false;
    if (stat(path, &s) == 0)
        return is_there(s.st_dev);
    (void)snprintf(folder, sizeof(folder), "%s", path);
    slash = strrchr(folder, '/');
    if (slash == NULL)
        return false;
    *slash = '\0';
    return stat(folder, &s) == 0 && is_there(s.st_dev);
}

static int denied(void)
{
    errno = EROFS;
    return -1;
}

/* ---- Opening. ---- */

static bool is_open_denied(const char *path, int flags)
{
    return (flags & (O_WRONLY | O_RDWR | O_CREAT | O_TRUNC)) != 0 &&
           is_denied_path(path);
}

#define OPEN(name)                                            \
    int name(const char *path, int flags, ...)                \
    {                                                         \
        NEXT(int (*next)(const char *, int, ...), name);      \
        va_list args;                                         \
        unsigned mode;                                        \
                                                              \
        if (is_open_denied(path, flags))                      \
            return denied();                                  \
        va_start(args, flags);                                \
        mode = flags & O_CREAT ? va_arg(args, unsigned) : 0u; \
        va_end(args);                                         \
        return next(path, flags, mode);                       \
    }

OPEN(open)
OPEN(open64)

/* ---- Changing. ---- */

#define BY_FD(result, name, params, args) \
    result name params                    \
    {                                     \
        NEXT(result(*next) params, name); \
                                          \
        if (is_denied_fd(fd))             \
            return denied();              \
        return next args;                 \
    }

BY_FD(ssize_t, write, (int fd, const void *data, size_t n), (fd, data, n))
BY_FD(ssize_t, pwrite, (int fd, const void *data, size_t n, off_t at),
      (fd, data, n, at))
BY_FD(ssize_t, pwrite64, (int fd, const void *data, size_t n, off64_t at),
      (fd, data, n, at))
BY_FD(int, ftruncate, (int fd, off_t size), (fd, size))
BY_FD(int, ftruncate64, (int fd, off64_t size), (fd, size))

#define BY_PATH(name, params, args)    \
    int name params                    \
    {                                  \
        NEXT(int(*next) params, name); \
                                       \
        if (is_denied_path(path))      \
            return denied();           \
        return next args;              \
    }

BY_PATH(unlink, (const char *path), (path))
BY_PATH(mkdir, (const char *path, mode_t mode), (path, mode))
BY_PATH(rename, (const char *path, const char *to), (path, to))
