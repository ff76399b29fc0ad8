# SPDX-License-Identifier: GPL-2.0-only
"""How much freed memory malloc keeps, and how to give it some in advance; see kallsymsd.engine.memory."""

from libc.stdlib cimport free

from kallsymsd.core.native.columns cimport allocate

cdef extern from *:
    """
    #include <malloc.h>

    static void keep_freed_memory(int most)
    {
    #if defined(__GLIBC__)
        mallopt(M_ARENA_MAX, 1);
        mallopt(M_MMAP_MAX, 0);
        mallopt(M_TRIM_THRESHOLD, most);
    #endif
    }

    static void give_back_freed_memory(void)
    {
    #if defined(__GLIBC__)
        malloc_trim(0);
    #endif
    }

    static void touch_pages(volatile char *memory, size_t size)
    {
        for (size_t at = 0; at < size; at += 4096)
            memory[at] = 0;
    }
    """
    void keep_freed_memory(int most)
    void give_back_freed_memory() nogil
    void touch_pages(char *memory, size_t size) nogil


def reuse_memory(int most):
    """Let malloc keep up to ``most`` freed bytes instead of returning them to the system; for a daemon.

    Otherwise columns of several megabytes would be mapped, zeroed and unmapped for each request, which costs
    more than filling them. There is one arena, so that one thread can use what another has freed.
    """
    keep_freed_memory(most)


def give_back_memory():
    """Return all freed memory to the system, wherever it is in the heap."""
    with nogil:
        give_back_freed_memory()


def touch_memory(size_t size):
    """Give malloc ``size`` bytes that have been touched, so that the first request need not touch them."""
    cdef void *memory = allocate(size)
    with nogil:
        touch_pages(<char *>memory, size)
    free(memory)
