/*
 * Loaded into a program, sends it a signal just before it would sleep: EARLY_SIGNAL=NUMBER:MARK is
 * for the main thread's first call that may wait after the program has written MARK to one of its
 * outputs. No process that it starts is concerned.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static const char *mark;
static int number;
static pid_t process;
static volatile bool is_due;

__attribute__((constructor)) static void begin(void)
{
    char *text = getenv("EARLY_SIGNAL");

    if (!text)
        return;
    number = strtol(strdup(text), &text, 10);
    mark = text + 1;
    process = getpid();
    unsetenv("EARLY_SIGNAL");
    unsetenv("LD_PRELOAD");
}

static void about_to_wait(void)
{
    if (is_due && getpid() == process && gettid() == process) {
        is_due = false;
        raise(number);
    }
}

#define NEXT(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

/* Standard error may have been opened once more. */
static bool is_output(int descriptor)
{
    struct stat found, error;

    return descriptor <= 2 || (!fstat(descriptor, &found) && !fstat(2, &error) &&
                               found.st_dev == error.st_dev && found.st_ino == error.st_ino);
}

ssize_t write(int descriptor, const void *data, size_t size)
{
    ssize_t written = NEXT(write)(descriptor, data, size);

    if (mark && getpid() == process && memmem(data, size, mark, strlen(mark)) &&
        is_output(descriptor)) {
        mark = NULL;
        is_due = true;
    }
    return written;
}

int poll(struct pollfd *descriptors, nfds_t count, int timeout)
{
    about_to_wait();
    return NEXT(poll)(descriptors, count, timeout);
}

ssize_t read(int descriptor, void *data, size_t size)
{
    if (!descriptor) /* Files are read at any time, and do not wait. */
        about_to_wait();
    return NEXT(read)(descriptor, data, size);
}

ssize_t recv(int descriptor, void *data, size_t size, int flags)
{
    about_to_wait();
    return NEXT(recv)(descriptor, data, size, flags);
}

int clock_nanosleep(clockid_t clock, int flags, const struct timespec *time, struct timespec *left)
{
    about_to_wait();
    return NEXT(clock_nanosleep)(clock, flags, time, left);
}
