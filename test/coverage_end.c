/*
 * coverage_end: writes the counts of a process that does not come by exit().
 *
 * Purpose   for builds with HAK_COVERAGE, where the linker leads _exit() and abort() here.
 * Threads   any; the first that ends the process writes.
 */
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

void __gcov_dump(void);
_Noreturn void __real__exit(int status);
_Noreturn void __real_abort(void);
_Noreturn void __wrap__exit(int status);
_Noreturn void __wrap_abort(void);

static void dump_once(void)
{
    static atomic_flag done = ATOMIC_FLAG_INIT;
    if (!atomic_flag_test_and_set(&done)) {
        __gcov_dump();
    }
}

_Noreturn void __wrap__exit(int status)
{
    dump_once();
    __real__exit(status);
}

_Noreturn void __wrap_abort(void)
{
    dump_once();
    __real_abort();
}
