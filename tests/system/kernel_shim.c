/*
 * Loaded into user-mode Linux 6.1, which hands registers back as it knows them. Where the
 * processor has more of them (AMX), the host's kernel wants all or refuses; ptrace(2),
 * PTRACE_SETREGSET, NT_X86_XSTATE. So what is missing at the end is filled with what is there.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define NT_X86_XSTATE 0x202L

static long set_extended_registers(long pid, struct iovec *given)
{
    static char whole[65536] __attribute__((aligned(64)));
    struct iovec all = {whole, sizeof whole};

    if (syscall(SYS_ptrace, PTRACE_GETREGSET, pid, NT_X86_XSTATE, &all) < 0)
        return -1;
    memcpy(whole, given->iov_base, given->iov_len < all.iov_len ? given->iov_len : all.iov_len);
    return syscall(SYS_ptrace, PTRACE_SETREGSET, pid, NT_X86_XSTATE, &all);
}

long ptrace(enum __ptrace_request request, ...)
{
    va_list rest;
    va_start(rest, request);
    long pid = va_arg(rest, long);
    long address = va_arg(rest, long);
    long data = va_arg(rest, long);
    va_end(rest);

    if (request == PTRACE_SETREGSET && address == NT_X86_XSTATE)
        return set_extended_registers(pid, (struct iovec *)data);
    if (request == PTRACE_PEEKTEXT || request == PTRACE_PEEKDATA || request == PTRACE_PEEKUSER) {
        long word;
        if (syscall(SYS_ptrace, request, pid, address, &word) < 0)
            return -1;
        errno = 0;
        return word;
    }
    return syscall(SYS_ptrace, request, pid, address, data);
}
