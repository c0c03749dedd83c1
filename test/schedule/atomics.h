/*
 * atomics: every atomic operation of the allocator is a point where the scheduler may go on with
 * another thread.
 *
 * Purpose   the compiler is told to include this header before each of the allocator's files, which
 *           are compiled a second time that way, as they are. It takes the place of the operations
 *           of <stdatomic.h> that the allocator uses; each calls schedule_point() first.
 *           Thread-specific data goes to the scheduler, too, for its threads are none of the
 *           system's.
 * Threads   see schedule.h.
 */
#ifndef HAKMEM_TEST_SCHEDULE_ATOMICS_H
#define HAKMEM_TEST_SCHEDULE_ATOMICS_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "schedule/points.h"

#define SCHEDULE_POINT(at, kind) schedule_point((at), SCHEDULE_##kind, __func__, __LINE__)

#undef atomic_load_explicit
#define atomic_load_explicit(at, order)                                                            \
    __extension__({                                                                                \
        SCHEDULE_POINT(at, READS);                                                                 \
        __atomic_load_n((at), (order));                                                            \
    })

/* The value is computed first: it may contain an operation of its own. */
#undef atomic_store_explicit
#define atomic_store_explicit(at, value, order)                                                    \
    __extension__({                                                                                \
        __auto_type schedule_stored = (value);                                                     \
        SCHEDULE_POINT(at, WRITES);                                                                \
        __atomic_store_n((at), schedule_stored, (order));                                          \
        schedule_wrote();                                                                          \
    })

#define SCHEDULE_CHANGE(operation, at, value, order)                                               \
    __extension__({                                                                                \
        __auto_type schedule_operand = (value);                                                    \
        SCHEDULE_POINT(at, WRITES);                                                                \
        schedule_wrote();                                                                          \
        operation((at), schedule_operand, (order));                                                \
    })

#undef atomic_exchange_explicit
#define atomic_exchange_explicit(at, value, order)                                                 \
    SCHEDULE_CHANGE(__atomic_exchange_n, at, value, order)
#undef atomic_fetch_add_explicit
#define atomic_fetch_add_explicit(at, value, order)                                                \
    SCHEDULE_CHANGE(__atomic_fetch_add, at, value, order)
#undef atomic_fetch_sub_explicit
#define atomic_fetch_sub_explicit(at, value, order)                                                \
    SCHEDULE_CHANGE(__atomic_fetch_sub, at, value, order)
#undef atomic_fetch_or_explicit
#define atomic_fetch_or_explicit(at, value, order)                                                 \
    SCHEDULE_CHANGE(__atomic_fetch_or, at, value, order)
#undef atomic_fetch_and_explicit
#define atomic_fetch_and_explicit(at, value, order)                                                \
    SCHEDULE_CHANGE(__atomic_fetch_and, at, value, order)

#undef atomic_compare_exchange_strong_explicit
#define atomic_compare_exchange_strong_explicit(at, expected, value, order, otherwise)             \
    __extension__({                                                                                \
        __auto_type schedule_wanted = (value);                                                     \
        SCHEDULE_POINT(at, WRITES);                                                                \
        bool schedule_won = __atomic_compare_exchange_n((at), (expected), schedule_wanted, 0,      \
                                                        (order), (otherwise));                     \
        if (schedule_won)                                                                          \
            schedule_wrote();                                                                      \
        schedule_won;                                                                              \
    })

/* A weak one does not fail by itself here. */
#undef atomic_compare_exchange_weak_explicit
#define atomic_compare_exchange_weak_explicit atomic_compare_exchange_strong_explicit

#define pthread_key_create schedule_key_create
#define pthread_setspecific schedule_key_set

#endif
