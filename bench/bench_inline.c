/*
 * bench_inline FORM SIZE ITERS WS: malloc and free by a call, and in line (hakmem_inline.h).
 *
 * FORM is call, inline or sized (in line, and free is told the size). Blocks of SIZE bytes (16, 32
 * or 64), ITERS operations (20000000) on a table of WS slots (128): a slot is chosen at random; if
 * it is empty it gets a block, whose first byte is written, else its block is freed.
 * The one bench that knows hakmem: its library is linked in, under the hak_ names. What LD_PRELOAD
 * says does not matter to it. An operation is one malloc or one free.
 */
#include "bench_report.h"

#include "hakmem_inline.h"

struct work {
    uint64_t iters;
    uint32_t slots;
    unsigned char **blocks;
};

/* One loop for each form and size, so that nothing but the two calls differs. */
#define WORK(name, bytes, take, give)                                                              \
    static void name(const struct work *work)                                                      \
    {                                                                                              \
        struct bench_rng rng = rng_seeded(42, 0);                                                  \
        for (uint64_t i = 0; i < work->iters; i++) {                                               \
            unsigned char **slot = &work->blocks[rng_below(&rng, work->slots)];                    \
            if (*slot != NULL) {                                                                   \
                give(*slot, bytes);                                                                \
                *slot = NULL;                                                                      \
                continue;                                                                          \
            }                                                                                      \
            *slot = take(bytes);                                                                   \
            if (*slot == NULL)                                                                     \
                bench_die("malloc");                                                               \
            **slot = (unsigned char)i;                                                             \
        }                                                                                          \
    }

#define CALL_FREE(block, bytes) hak_free(block)
#define INLINE_FREE(block, bytes) hak_inline_free(block)
#define WORKS(bytes)                                                                               \
    WORK(call_##bytes, bytes, hak_malloc, CALL_FREE)                                               \
    WORK(inline_##bytes, bytes, hak_inline_malloc, INLINE_FREE)                                    \
    WORK(sized_##bytes, bytes, hak_inline_malloc, hak_inline_free_sized)
WORKS(16)
WORKS(32)
WORKS(64)

static const struct form {
    const char *name;
    size_t bytes;
    void (*run)(const struct work *work);
} forms[] = {
#define FORMS(bytes)                                                                               \
    {"call", bytes, call_##bytes}, {"inline", bytes, inline_##bytes},                              \
        {"sized", bytes, sized_##bytes},
    FORMS(16) FORMS(32) FORMS(64)};

static const struct form *form_find(const char *name, size_t bytes)
{
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
        if (strcmp(forms[i].name, name) == 0 && forms[i].bytes == bytes)
            return &forms[i];
    fprintf(stderr, "bench_inline: there is no form %s of %zu bytes\n", name, bytes);
    exit(2);
}

static uint64_t least_ns_read(void)
{
    const char *const text[] = {"BENCH_SECONDS", getenv("BENCH_SECONDS")};
    int count = text[1] != NULL ? 2 : 1;
    double seconds = bench_arg_real(count, (char **)(uintptr_t)text, 1, 0, 0, 3600);
    return (uint64_t)(seconds * 1e9);
}

int main(int argc, char **argv)
{
    struct bench_report report = {.name = "bench_inline"};
    const struct form *form = form_find(argc > 1 ? argv[1] : "inline",
                                        bench_arg(argc, argv, 2, 16, 1, UINT64_C(1) << 30));
    struct work work = {
        .iters = bench_arg(argc, argv, 3, 20000000, 2, UINT64_C(1) << 40),
        .slots = (uint32_t)bench_arg(argc, argv, 4, 128, 1, 1u << 28),
    };
    work.blocks = bench_table(work.slots, sizeof *work.blocks);
    uint64_t least_ns = least_ns_read();
    uint64_t start_ns = bench_now_ns();
    uint64_t ns;
    do {
        form->run(&work);
        report.ops += work.iters;
        ns = bench_now_ns() - start_ns;
    } while (ns < least_ns);
    report.seconds = (double)ns * 1e-9;
    report.live = bench_memory_now();
    for (uint32_t i = 0; i < work.slots; i++)
        hak_free(work.blocks[i]);
    report.after = bench_memory_now();
    bench_print(&report);
    return 0;
}
