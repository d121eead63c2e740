/* Counts the system calls of the program it is preloaded into, without stopping it: in a file that others read.
 *
 * Slot n is how often syscall(2) was called with number n; io_uring_enter is called so. The calls that have a
 * function of their own in the C library and that a loop over sockets may make are counted at their numbers too. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define SLOTS 512

static uint64_t nowhere[SLOTS];
static uint64_t *counts = nowhere;
static long (*real_syscall)(long, ...);

#define COUNT(number) __atomic_fetch_add(&counts[(number) & (SLOTS - 1)], 1, __ATOMIC_RELAXED)

__attribute__((constructor)) static void begin(void) {
    real_syscall = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    const char *path = getenv("COUNT_SYSCALLS_FILE");
    int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
    if (file < 0)
        return;
    void *shared = mmap(NULL, SLOTS * sizeof *counts, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
    if (shared != MAP_FAILED)
        counts = shared;
    close(file);
}

long syscall(long number, ...) {
    long a[6];
    va_list rest;
    va_start(rest, number);
    for (int i = 0; i < 6; i++)
        a[i] = va_arg(rest, long);
    va_end(rest);
    COUNT(number);
    if (!real_syscall)
        real_syscall = (long (*)(long, ...))dlsym(RTLD_NEXT, "syscall");
    return real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

#define COUNTED(result, name, parameters, arguments)                      \
    result name parameters {                                              \
        static result(*real) parameters;                                  \
        if (!real)                                                        \
            real = (result(*) parameters)dlsym(RTLD_NEXT, #name);         \
        COUNT(SYS_##name);                                                \
        return real arguments;                                            \
    }

COUNTED(ssize_t, read, (int file, void *bytes, size_t len), (file, bytes, len))
COUNTED(ssize_t, write, (int file, const void *bytes, size_t len), (file, bytes, len))
COUNTED(ssize_t, writev, (int file, const struct iovec *parts, int len), (file, parts, len))
COUNTED(int, epoll_wait, (int file, struct epoll_event *events, int len, int ms), (file, events, len, ms))
COUNTED(int, madvise, (void *start, size_t len, int what), (start, len, what))
COUNTED(int, munmap, (void *start, size_t len), (start, len))

#undef SYS_recv
#undef SYS_send
#define SYS_recv SYS_recvfrom
#define SYS_send SYS_sendto
COUNTED(ssize_t, recv, (int file, void *bytes, size_t len, int flags), (file, bytes, len, flags))
COUNTED(ssize_t, send, (int file, const void *bytes, size_t len, int flags), (file, bytes, len, flags))
