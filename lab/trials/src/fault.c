/* A failing disk: one call on one kind of operation on files below one folder fails.
 *
 *   LD_PRELOAD=fault.so  FAULT_BELOW=/folder  FAULT_OPERATION=fsync  FAULT_AT=7  FAULT_ERROR=5  FAULT_REPORT=/file
 *
 * Operations: open (also of folders), read, write, fsync, rename, unlink, mkdir, truncate. Calls are counted over all threads, from 1;
 * the one with number FAULT_AT fails with errno FAULT_ERROR and is told to the report: "fsync 7 /folder/log/tmp/x".
 * With FAULT_AT=0 nothing fails, and the report tells every call so.
 * Standard streams, `logs/` and what is no file do not count. For `mtc5g-trials io` (docs/testing.md). */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

enum { OPEN, READ, WRITE, FSYNC, RENAME, UNLINK, MKDIR, TRUNCATE, OPERATIONS };
static const char *const NAMES[OPERATIONS] = {"open", "read", "write", "fsync", "rename", "unlink", "mkdir", "truncate"};

static atomic_long counts[OPERATIONS];
static const char *below;
static const char *report;
static int chosen = -1;
static long at;
static int error_number;

__attribute__((constructor)) static void begin(void) {
    const char *operation = getenv("FAULT_OPERATION");
    below = getenv("FAULT_BELOW");
    report = getenv("FAULT_REPORT");
    at = getenv("FAULT_AT") ? atol(getenv("FAULT_AT")) : 0;
    error_number = getenv("FAULT_ERROR") ? atoi(getenv("FAULT_ERROR")) : EIO;
    for (int i = 0; operation && i < OPERATIONS; i++)
        if (!strcmp(operation, NAMES[i])) chosen = i;
}

/* By system calls, so that it neither counts nor fails. */
static void tell(const char *text) {
    long file = report ? syscall(SYS_openat, AT_FDCWD, report, O_WRONLY | O_CREAT | O_APPEND, 0600) : -1;
    if (file < 0) return;
    syscall(SYS_write, file, text, strlen(text));
    syscall(SYS_close, file);
}

/* Whether this call is the one that fails; errno is then set. */
static int fails(int operation, const char *path) {
    char text[PATH_MAX + 64];
    if (!below || !path || strncmp(path, below, strlen(below)) || strstr(path, "/logs/")) return 0;
    long number = atomic_fetch_add(&counts[operation], 1) + 1;
    if (at != 0 && (operation != chosen || number != at)) return 0;
    snprintf(text, sizeof text, "%s %ld %s\n", NAMES[operation], number, path);
    int saved = errno;
    tell(text);
    errno = saved;
    if (at == 0) return 0;
    errno = error_number;
    return 1;
}

static int fails_on(int operation, int file) {
    char link[64], path[PATH_MAX];
    if (file <= 2 || !below) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", file);
    int saved = errno;
    long length = syscall(SYS_readlink, link, path, sizeof path - 1);
    errno = saved;
    if (length <= 0) return 0;
    path[length] = 0;
    return fails(operation, path);
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

#define OPENS(name)                                                    \
    int name(const char *path, int flags, ...) {                       \
        va_list more;                                                  \
        va_start(more, flags);                                         \
        mode_t mode = va_arg(more, mode_t);                            \
        va_end(more);                                                  \
        return fails(OPEN, path) ? -1 : NEXT(name)(path, flags, mode); \
    }
OPENS(open)
OPENS(open64)

#define OPENS_AT(name)                                                         \
    int name(int folder, const char *path, int flags, ...) {                   \
        va_list more;                                                          \
        va_start(more, flags);                                                 \
        mode_t mode = va_arg(more, mode_t);                                    \
        va_end(more);                                                          \
        return fails(OPEN, path) ? -1 : NEXT(name)(folder, path, flags, mode); \
    }
OPENS_AT(openat)
OPENS_AT(openat64)

DIR *opendir(const char *path) { return fails(OPEN, path) ? NULL : NEXT(opendir)(path); }

ssize_t read(int file, void *to, size_t size) { return fails_on(READ, file) ? -1 : NEXT(read)(file, to, size); }
ssize_t pread64(int file, void *to, size_t size, off64_t offset) {
    return fails_on(READ, file) ? -1 : NEXT(pread64)(file, to, size, offset);
}
ssize_t readv(int file, const struct iovec *to, int count) { return fails_on(READ, file) ? -1 : NEXT(readv)(file, to, count); }
ssize_t write(int file, const void *from, size_t size) { return fails_on(WRITE, file) ? -1 : NEXT(write)(file, from, size); }
ssize_t pwrite64(int file, const void *from, size_t size, off64_t offset) {
    return fails_on(WRITE, file) ? -1 : NEXT(pwrite64)(file, from, size, offset);
}
ssize_t writev(int file, const struct iovec *from, int count) { return fails_on(WRITE, file) ? -1 : NEXT(writev)(file, from, count); }
int fsync(int file) { return fails_on(FSYNC, file) ? -1 : NEXT(fsync)(file); }
int fdatasync(int file) { return fails_on(FSYNC, file) ? -1 : NEXT(fdatasync)(file); }
int ftruncate64(int file, off64_t size) { return fails_on(TRUNCATE, file) ? -1 : NEXT(ftruncate64)(file, size); }
int rename(const char *from, const char *to) { return fails(RENAME, to) ? -1 : NEXT(rename)(from, to); }
int unlink(const char *path) { return fails(UNLINK, path) ? -1 : NEXT(unlink)(path); }
int mkdir(const char *path, mode_t mode) { return fails(MKDIR, path) ? -1 : NEXT(mkdir)(path, mode); }

/* `syncfs` (batches of more than four objects) and `flock` are made by rustix without the C library: they cannot fail here. */
