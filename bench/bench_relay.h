/*
 * bench_relay.h: lanes of threads, one at work in each lane, each started by the one before it.
 *
 * Owner: main() holds the relay; a lane belongs to the thread that serves it.
 * Threads: relay_run is main's, the rest is for the serving threads.
 */
#ifndef HAK_BENCH_RELAY_H
#define HAK_BENCH_RELAY_H

#include "bench_report.h"
#include "bench_threads.h"

struct bench_lane {
    _Alignas(64) struct bench_relay *relay; /* [const after init] */
    unsigned idx;                           /* [const after init] */
    uint64_t threads;                       /* [serving thread] that have served */
    pthread_t previous; /* [serving thread] the thread before, joined after it if `joinable` */
    bool joinable;
    uint64_t end_ns; /* [last thread] read by main after `ended` */
};

struct bench_relay {
    /* What a thread does: a part of its lane's work, or all that is left once the relay stops. */
    void (*serve)(unsigned lane);
    unsigned lanes;
    struct bench_gate gate;
    _Atomic bool stop;      /* [main] no further threads */
    _Atomic unsigned ended; /* [last threads, atomic] lanes whose work is done */
    struct bench_lane lane[BENCH_MAX_THREADS];
};

static inline bool relay_stopped(struct bench_relay *relay)
{
    /* relaxed: only a signal, nothing is read through it. */
    return atomic_load_explicit(&relay->stop, memory_order_relaxed);
}

/* Waits until the thread before is gone; else that is done when this one has served. */
static inline void lane_settle(struct bench_lane *lane)
{
    if (lane->joinable)
        bench_thread_join(lane->previous);
    lane->joinable = false;
}

static inline void *lane_body(void *argument)
{
    struct bench_lane *lane = argument;
    struct bench_relay *relay = lane->relay;
    pthread_t next;
    if (lane->threads++ == 0)
        gate_wait(&relay->gate);
    relay->serve(lane->idx);
    lane_settle(lane);
    lane->previous = pthread_self();
    lane->joinable = true;
    if (!relay_stopped(relay)) {
        bench_thread_start(&next, lane_body, lane);
        return NULL;
    }
    lane->end_ns = bench_now_ns();
    /* release: pairs with the acquire in relay_run; makes what the lane's threads wrote visible. */
    atomic_fetch_add_explicit(&relay->ended, 1, memory_order_release);
    return NULL;
}

/* [main] Runs all lanes for some seconds and until their threads have ended. */
static inline void relay_run(struct bench_relay *relay, double seconds, struct bench_report *report)
{
    uint64_t start_ns;
    uint64_t end_ns = 0;
    for (unsigned i = 0; i < relay->lanes; i++) {
        pthread_t first;
        relay->lane[i].relay = relay;
        relay->lane[i].idx = i;
        bench_thread_start(&first, lane_body, &relay->lane[i]);
    }
    gate_open(&relay->gate, relay->lanes, &start_ns);
    bench_sleep_ns((long)(seconds * 1e9));
    /* relaxed: only a signal. */
    atomic_store_explicit(&relay->stop, true, memory_order_relaxed);
    /* acquire: pairs with the release in lane_body. */
    while (atomic_load_explicit(&relay->ended, memory_order_acquire) < relay->lanes)
        bench_sleep_ns(200000);
    for (unsigned i = 0; i < relay->lanes; i++) {
        struct bench_lane *lane = &relay->lane[i];
        lane_settle(lane);
        report->threads += lane->threads;
        end_ns = lane->end_ns > end_ns ? lane->end_ns : end_ns;
    }
    report->seconds = (double)(end_ns - start_ns) * 1e-9;
}

#endif
