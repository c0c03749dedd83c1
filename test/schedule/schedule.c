/*
 * schedule: choices, threads, and what is put back.
 *
 *   schedule_explore → schedule_run → thread_main of each thread
 *                                       schedule_point → choose → thread_switch
 *                    → choices_next      the last choice that has an alternative
 */
#include "schedule/schedule.h"

#include <sys/mman.h>
#include <ucontext.h>

#include "front/heap.h"
#include "segment/arena.h"
#include "support.h"

#define STACK_BYTES (256 * KIB)
#define STEPS_MAX 4000
#define SAVES_MAX 8
#define WRITTEN_MAX 1024
#define STRETCHES_MAX 40         /* that are printed */
#define OUTSIDE SCHEDULE_THREADS /* no thread of the case */

struct operation {
    const volatile void *address;
    const char *function;
    int line;
    enum schedule_kind kind;
};

enum thread_state { READY, WAITING, ENDED };

#define WAIT_LINE 0 /* of an operation that is none: the thread has looked, and waits */

struct thread {
    ucontext_t context;
    char *stack;
    enum thread_state state;
    struct operation next; /* what it does when it is chosen */
    struct hak_heap *heap; /* hak_heap_self while it does not run */
    int error;             /* errno while it does not run */
    bool in_turn;          /* hak_arena_in_turn while it does not run */
    void *key_value;
    bool others_wrote; /* since it waited last: it looks once more */
};

/* One step of a schedule. Sets of threads are masks. */
struct choice {
    struct operation next[SCHEDULE_THREADS]; /* of each thread that is enabled */
    uint8_t thread, previous;
    uint8_t enabled, tried;
    uint8_t fit;          /* enabled, and may be chosen here */
    uint8_t asleep;       /* enabled, but what they lead to was seen already */
    unsigned preemptions; /* up to here, this one too */
};

struct save {
    char *start, *copy;
    size_t bytes;
    bool always; /* put back whole */
};

/* In a mapping of its own: no schedule takes it back. */
static struct {
    const struct schedule_case *of;
    struct schedule_report *report;
    unsigned bound;
    bool is_running, is_starting, is_pruned, is_counting;
    unsigned current, count; /* of threads */
    size_t at, depth;        /* choices made in this schedule, and those that are laid down */
    struct thread threads[SCHEDULE_THREADS + 1]; /* the last one is who explores */
    struct choice choices[STEPS_MAX];
    struct hak_heap *newborn; /* hak_heap_self of a thread without blocks */
    struct save saves[SAVES_MAX];
    size_t save_count;
    struct save written[WRITTEN_MAX]; /* pages of the saves, and those that always are */
    size_t written_count;
} * state;

static void (*key_destructor)(void *);

/* ---- what is put back ----------------------------------------------------------------------- */

extern char __data_start[], _end[];

/* Most of it is never written. So all of it is protected, and who writes a page for the first time
 * is held up by a signal; from then on the page is put back each time. */

static size_t page_bytes(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

void schedule_save(void *start, size_t bytes, bool always)
{
    SUPPORT_REQUIRE(state->save_count < SAVES_MAX);
    struct save *save = &state->saves[state->save_count++];
    char *first = (char *)hak_align_down((uintptr_t)start, page_bytes());
    bytes = hak_align_up((uintptr_t)start + bytes, page_bytes()) - (uintptr_t)first;
    *save = (struct save){first, malloc(bytes), bytes, always};
    SUPPORT_REQUIRE(save->copy != NULL);
    memcpy(save->copy, first, bytes);
}

static void saves_protect(void)
{
    for (size_t i = 0; i < state->save_count; i++) {
        struct save *save = &state->saves[i];
        if (save->always)
            state->written[state->written_count++] = *save;
        else
            SUPPORT_REQUIRE(mprotect(save->start, save->bytes, PROT_READ) == 0);
    }
}

/* Whether somebody writes there for the first time; then he may from here on. */
static bool page_is_saved(const void *address)
{
    for (size_t i = 0; i < state->save_count; i++) {
        const struct save *save = &state->saves[i];
        size_t at = (size_t)((const char *)address - save->start);
        if ((uintptr_t)address < (uintptr_t)save->start || at >= save->bytes)
            continue;
        at = hak_align_down(at, page_bytes());
        if (state->written_count == WRITTEN_MAX)
            return false;
        state->written[state->written_count++] =
            (struct save){save->start + at, save->copy + at, page_bytes(), true};
        return mprotect(save->start + at, page_bytes(), PROT_READ | PROT_WRITE) == 0;
    }
    return false;
}

static void saves_put_back(void)
{
    for (size_t i = 0; i < state->written_count; i++)
        memcpy(state->written[i].start, state->written[i].copy, state->written[i].bytes);
}

/* ---- a broken rule -------------------------------------------------------------------------- */

static void operation_print(const struct operation *operation)
{
    dprintf(STDERR_FILENO, " %s:%d", operation->function, operation->line);
}

/* One line for each stretch of steps of one thread: its first and its last. */
static void schedule_print(void)
{
    dprintf(STDERR_FILENO, "%s: schedule %zu breaks a rule, step %zu\n", state->of->name,
            state->report->schedules + state->report->pruned + 1, state->at);
    size_t stretches = 0;
    for (size_t from = 0, to; from < state->at && stretches < STRETCHES_MAX; from = to) {
        unsigned thread = state->choices[from].thread;
        for (to = from + 1; to < state->at && state->choices[to].thread == thread;)
            to++;
        stretches++;
        dprintf(STDERR_FILENO, "  thread %u: %3zu steps,", thread, to - from);
        operation_print(&state->choices[from].next[thread]);
        dprintf(STDERR_FILENO, " to");
        operation_print(&state->choices[to - 1].next[thread]);
        dprintf(STDERR_FILENO, "\n");
    }
}

static _Noreturn void rule_broken(const char *rule)
{
    dprintf(STDERR_FILENO, "%s\n", rule);
    schedule_print();
    _exit(1);
}

/* The allocator stops the process, or a case does by SUPPORT_REQUIRE, or there is no end. Or a page
 * of what is put back is written for the first time. */
static void signal_handle(int number, siginfo_t *info, void *context)
{
    (void)context;
    if (number == SIGSEGV && page_is_saved(info->si_addr))
        return;
    schedule_print();
    _exit(1);
}

static void signals_catch(void)
{
    const int numbers[] = {SIGABRT, SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGALRM};
    stack_t other = {.ss_sp = malloc(64 * KIB), .ss_size = 64 * KIB};
    struct sigaction action = {.sa_sigaction = signal_handle, .sa_flags = SA_ONSTACK | SA_SIGINFO};
    SUPPORT_REQUIRE(sigaltstack(&other, NULL) == 0);
    for (size_t i = 0; i < SUPPORT_COUNT(numbers); i++)
        sigaction(numbers[i], &action, NULL);
}

/* ---- choices -------------------------------------------------------------------------------- */

static unsigned mask_of(unsigned thread)
{
    return 1u << thread;
}

/* Whether the order of two neighbours makes no difference. */
static bool are_apart(const struct operation *one, const struct operation *other)
{
    return one->address != other->address ||
           (one->kind == SCHEDULE_READS && other->kind == SCHEDULE_READS);
}

static bool operations_are_same(const struct operation *one, const struct operation *other)
{
    return one->address == other->address && one->line == other->line && one->kind == other->kind;
}

/* Who need not be chosen after a choice: it was tried instead of it, or slept already, and what it
 * does would have done as well before. */
static unsigned asleep_after(const struct choice *choice)
{
    unsigned asleep = choice->asleep | (choice->tried & ~mask_of(choice->thread));
    for (unsigned i = 0; i < state->count; i++) {
        if (!are_apart(&choice->next[i], &choice->next[choice->thread]))
            asleep &= ~mask_of(i);
    }
    return asleep;
}

/* Whether the thread before could go on, and does not just wait. */
static bool goes_on(const struct choice *choice)
{
    return (choice->enabled & mask_of(choice->previous)) != 0 &&
           choice->next[choice->previous].line != WAIT_LINE;
}

static bool is_preemption(const struct choice *choice, unsigned thread)
{
    return thread != choice->previous && goes_on(choice);
}

/* Where the thread before does not go on, others that wait have no turn as long as there is one
 * that does not; if all wait, they take turns. Else they would do so for ever. */
static unsigned fit_of(const struct choice *choice)
{
    unsigned busy = 0;
    for (unsigned i = 0; i < state->count; i++)
        busy |= choice->next[i].line == WAIT_LINE ? 0 : choice->enabled & mask_of(i);
    if (goes_on(choice))
        return choice->enabled;
    if (busy != 0)
        return busy;
    unsigned next = (choice->previous + 1u) % state->count;
    while ((choice->enabled & mask_of(next)) == 0)
        next = (next + 1) % state->count;
    return mask_of(next);
}

static void choice_set(struct choice *choice, unsigned thread)
{
    unsigned before = choice == state->choices ? 0 : choice[-1].preemptions;
    choice->thread = (uint8_t)thread;
    choice->tried |= (uint8_t)mask_of(thread);
    choice->preemptions = before + is_preemption(choice, thread);
}

static unsigned threads_in(enum thread_state what)
{
    unsigned mask = 0;
    for (unsigned i = 0; i < state->count; i++)
        mask |= state->threads[i].state == what ? mask_of(i) : 0;
    return mask;
}

/* A new choice: who ran goes on if it can. False: all who could sleep. */
static bool choice_make(struct choice *choice, unsigned enabled)
{
    bool is_first = choice == state->choices;
    *choice = (struct choice){.enabled = (uint8_t)enabled};
    choice->previous = is_first ? OUTSIDE : choice[-1].thread;
    if (!is_first && state->bound == SCHEDULE_ALL)
        choice->asleep = (uint8_t)(asleep_after(&choice[-1]) & enabled);
    for (unsigned i = 0; i < state->count; i++)
        choice->next[i] = state->threads[i].next;
    choice->fit = (uint8_t)fit_of(choice);
    unsigned awake = choice->fit & ~(unsigned)choice->asleep;
    if (awake == 0)
        return false;
    bool stays = goes_on(choice) && (awake & mask_of(choice->previous)) != 0;
    choice_set(choice, stays ? choice->previous : (unsigned)__builtin_ctz(awake));
    return true;
}

/* Who is next; OUTSIDE: nobody. */
static unsigned choose(void)
{
    unsigned enabled = threads_in(READY);
    struct choice *choice = &state->choices[state->at];
    if (enabled == 0 && threads_in(WAITING) != 0)
        rule_broken("every thread waits");
    if (enabled == 0)
        return OUTSIDE;
    if (state->at == STEPS_MAX)
        rule_broken("there is no end");
    if (state->at == state->depth) {
        if (!choice_make(choice, enabled)) {
            state->is_pruned = true;
            return OUTSIDE;
        }
        state->depth++;
    } else if (choice->enabled != enabled ||
               !operations_are_same(&choice->next[choice->thread],
                                    &state->threads[choice->thread].next)) {
        rule_broken("the same choices led elsewhere");
    }
    state->at++;
    return choice->thread;
}

/* Lays down the next schedule. False: there is none. */
static bool choices_next(void)
{
    for (; state->depth > 0; state->depth--) {
        struct choice *choice = &state->choices[state->depth - 1];
        unsigned left = choice->fit & ~(unsigned)(choice->tried | choice->asleep);
        unsigned before = state->depth == 1 ? 0 : choice[-1].preemptions;
        for (unsigned i = 0; i < state->count; i++) {
            if ((left & mask_of(i)) != 0 && before + is_preemption(choice, i) <= state->bound) {
                choice_set(choice, i);
                return true;
            }
        }
    }
    return false;
}

/* ---- threads -------------------------------------------------------------------------------- */

static void thread_switch(unsigned to)
{
    struct thread *from = &state->threads[state->current];
    from->heap = hak_heap_self;
    from->error = errno;
    from->in_turn = hak_arena_in_turn;
    state->current = to;
    hak_heap_self = state->threads[to].heap;
    errno = state->threads[to].error;
    hak_arena_in_turn = state->threads[to].in_turn;
    SUPPORT_REQUIRE(swapcontext(&from->context, &state->threads[to].context) == 0);
}

/* What the current thread does next is noted: somebody does his next step. */
static void thread_step(void)
{
    unsigned next = state->is_starting ? OUTSIDE : choose();
    if (next != state->current)
        thread_switch(next);
}

static void thread_main(void)
{
    state->of->threads[state->current]();
    state->threads[state->current].state = ENDED;
    thread_step();
}

/* A search for hints looks at 32 words in a row: that is one step. And they count as one word. */
static bool is_of_hints(const char *function)
{
    return strncmp(function, "hak_hint", 8) == 0;
}

/* Figures decide nothing: counting is no step, and nobody waits for it. */
static bool is_of_figures(const char *function)
{
    return strncmp(function, "hak_figure", 10) == 0;
}

void schedule_point(const volatile void *address, enum schedule_kind kind, const char *function,
                    int line)
{
    static const char hints;
    if (state == NULL || !state->is_running)
        return;
    if (is_of_figures(function)) {
        state->is_counting =
            kind == SCHEDULE_WRITES; /* until it has written: no step lies between */
        return;
    }
    struct thread *self = &state->threads[state->current];
    if (is_of_hints(function)) {
        if (self->next.function == function)
            return;
        address = &hints;
        kind = SCHEDULE_WRITES;
    }
    self->next = (struct operation){address, function, line, kind};
    thread_step();
}

void schedule_wrote(void)
{
    if (state == NULL || !state->is_running)
        return;
    if (state->is_counting) {
        state->is_counting = false;
        return;
    }
    for (unsigned i = 0; i < state->count; i++) {
        struct thread *thread = &state->threads[i];
        if (i != state->current) {
            thread->others_wrote = true;
            thread->state = thread->state == WAITING ? READY : thread->state;
        }
    }
}

void schedule_wait(void)
{
    if (state == NULL || !state->is_running)
        return;
    struct thread *self = &state->threads[state->current];
    if (state->bound == SCHEDULE_ALL)
        rule_broken("a case with threads that wait has no end without a bound");
    self->state = self->others_wrote ? READY : WAITING;
    self->others_wrote = false;
    self->next = (struct operation){NULL, __func__, WAIT_LINE, SCHEDULE_READS};
    thread_step();
}

int schedule_key_create(pthread_key_t *key, void (*destructor)(void *))
{
    *key = 0;
    key_destructor = destructor;
    return 0;
}

int schedule_key_set(pthread_key_t key, const void *value)
{
    (void)key;
    if (state != NULL)
        state->threads[state->current].key_value = (void *)(uintptr_t)value;
    return 0;
}

void schedule_thread_end(void)
{
    struct thread *self = &state->threads[state->current];
    void *value = self->key_value;
    self->key_value = NULL;
    if (value != NULL)
        key_destructor(value);
}

void schedule_thread_renew(void)
{
    hak_heap_self = state->newborn;
}

void schedule_as(unsigned thread, void (*body)(void))
{
    struct thread *as = &state->threads[thread];
    unsigned current = state->current;
    struct hak_heap *own = hak_heap_self;
    state->current = thread;
    hak_heap_self = as->heap;
    body();
    as->heap = hak_heap_self;
    hak_heap_self = own;
    state->current = current;
}

/* ---- exploring ------------------------------------------------------------------------------ */

static void context_make(struct thread *thread)
{
    SUPPORT_REQUIRE(getcontext(&thread->context) == 0);
    thread->context.uc_stack.ss_sp = thread->stack;
    thread->context.uc_stack.ss_size = STACK_BYTES;
    makecontext(&thread->context, thread_main, 0);
}

static void threads_begin(const struct thread *first)
{
    state->is_starting = true;
    for (unsigned i = 0; i < state->count; i++) {
        struct thread *thread = &state->threads[i];
        char *stack = thread->stack;
        *thread = first[i];
        thread->stack = stack;
        context_make(thread);
        thread_switch(i); /* up to its first step */
    }
    state->is_starting = false;
}

/* One schedule from beginning to end, or to where it is pruned. */
static void schedule_run(const struct thread *first)
{
    if (state->of->prepare != NULL)
        state->of->prepare();
    state->at = 0;
    state->is_pruned = false;
    state->is_running = true;
    threads_begin(first);
    unsigned next = choose();
    if (next != OUTSIDE)
        thread_switch(next);
    state->is_running = false;
    if (!state->is_pruned)
        state->of->check();
}

static void *memory_map(size_t bytes)
{
    void *start = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    SUPPORT_REQUIRE(start != MAP_FAILED);
    return start;
}

static void state_make(const struct schedule_case *tried, unsigned preemptions,
                       struct schedule_report *report)
{
    state = memory_map(sizeof *state);
    state->of = tried;
    state->bound = preemptions;
    state->report = report;
    state->current = OUTSIDE;
    for (unsigned i = 0; i < SCHEDULE_THREADS && tried->threads[i] != NULL; i++) {
        state->threads[i].stack = memory_map(STACK_BYTES);
        state->count++;
    }
    state->newborn = hak_heap_self;
    for (unsigned i = 0; i <= SCHEDULE_THREADS; i++)
        state->threads[i].heap = state->newborn;
}

void schedule_explore(const struct schedule_case *tried, unsigned preemptions,
                      struct schedule_report *report)
{
    struct thread first[SCHEDULE_THREADS];
    *report = (struct schedule_report){0};
    state_make(tried, preemptions, report);
    signals_catch();
    tried->setup();
    memcpy(first, state->threads, sizeof first);
    schedule_save(__data_start, (size_t)(_end - __data_start), false);
    saves_protect();
    do {
        saves_put_back();
        schedule_run(first);
        report->schedules += !state->is_pruned;
        report->pruned += state->is_pruned;
        report->steps += state->at;
        report->longest = state->at > report->longest ? state->at : report->longest;
    } while (choices_next());
}
