/*
 * memory: what the memory orders of C11 let a thread see. Every model beside this file includes it.
 *
 * Purpose   A place keeps its last writes, its messages, not one value. A thread reads any message
 *           that is not older than the one it knows of: so a store may stay unseen by others for as
 *           long as C11 allows, as if it stood in a store buffer, and stores to several places
 *           become visible in any order. What a thread knows of is its view: a message of each
 *           place. A release puts the view into the message, an acquire takes it out.
 *             relaxed   the message carries nothing; the reader learns of this one message
 *             acquire   the reader's view joins the message's
 *             release   the message carries the writer's view
 *             seq_cst   both; and who reads so does not read a message older than the last one that
 *                       was written so
 *           A read-modify-write replaces the newest message and passes on what that one carried
 *           (the release sequence). A compare-and-swap may fail on an older message.
 *           Plain places (memory of blocks, fields of the owner) have no values: who uses one must
 *           know of its last use, else two threads race.
 * Bounds    MESSAGES of a place that somebody may still read; more is reported as an error, so no
 *           result is cut short. Messages that nobody can read any more are dropped.
 * Not here  A load that is moved behind a later store of the same thread (load buffering), and a
 *           store that is ordered before another thread's earlier store to the same place.
 *
 * A model defines, before it includes this: THREADS (the init process and those it runs), ATOMICS
 * and PLACES (places below ATOMICS are atomic, those from there to PLACES are plain).
 */
#ifndef MESSAGES
#define MESSAGES 6
#endif
#if MESSAGES > 14
#error "a_choices has a bit for each message and one more"
#endif

c_decl {
    enum order { relaxed, acquire, release, acq_rel, seq_cst };
    enum change { change_or, change_and, change_add, change_set };

    struct message {
        unsigned char value;
        unsigned char view[PLACES]; /* a message of each atomic place; 1: a plain one's last use */
    };

    struct memory {
        struct message messages[ATOMICS][MESSAGES];
        unsigned char last[ATOMICS];          /* the newest message */
        unsigned char ordered[ATOMICS];       /* the newest one that was written seq_cst */
        unsigned char views[THREADS][PLACES]; /* the first: of all that ended */
        unsigned char heard[THREADS][PLACES]; /* what a barrier under way has gathered */
        unsigned char ended[THREADS];
    };
}
c_state "struct memory memory" "Global"

/* Arguments of the functions below; all 0 between two steps. */
byte a_who;
byte a_place;
byte a_value;
byte a_other;
short a_choices;
byte a_choice;

bool too_many;     /* somebody may still read more than MESSAGES of a place: the model's bounds fail */
bool race;     /* two threads use a plain place, and nothing orders them */
byte finished; /* processes that came to their end */

c_code {
    static struct message *message_at(int place, int at)
    {
        return &now.memory.messages[place][at];
    }

    static int order_acquires(int order)
    {
        return order != relaxed && order != release;
    }

    static int order_releases(int order)
    {
        return order != relaxed && order != acquire;
    }

    static void view_join(unsigned char *to, const unsigned char *from)
    {
        for (int i = 0; i < PLACES; i++) {
            if (to[i] < from[i]) {
                to[i] = from[i];
            }
        }
    }

    /* The least that any living thread knows of a place. */
    static int view_least(int place)
    {
        int least = 255;
        for (int i = 0; i < THREADS; i++) {
            if (!now.memory.ended[i] && now.memory.views[i][place] < least) {
                least = now.memory.views[i][place];
            }
        }
        return least;
    }

    static void entry_lower(unsigned char *entry, int by)
    {
        *entry = *entry > by ? *entry - by : 0;
    }

    static void place_forget(int place, int by)
    {
        struct memory *memory = &now.memory;
        for (int i = 0; i < ATOMICS; i++) {
            for (int at = 0; at <= memory->last[i]; at++) {
                entry_lower(&message_at(i, at)->view[place], by);
            }
        }
        for (int i = 0; i < THREADS; i++) {
            entry_lower(&memory->heard[i][place], by);
        }
    }

    /* Drops what makes no difference any more, so that equal states look equal. */
    static void memory_forget(void)
    {
        struct memory *memory = &now.memory;
        for (int place = 0; place < PLACES; place++) {
            int least = view_least(place);
            if (least == 0 || least == 255) {
                continue;
            }
            place_forget(place, least);
            if (place >= ATOMICS) {
                continue;
            }
            int kept = memory->last[place] - least + 1;
            for (int at = 0; at < MESSAGES; at++) {
                if (at < kept) {
                    *message_at(place, at) = *message_at(place, at + least);
                } else {
                    memset(message_at(place, at), 0, sizeof(struct message));
                }
            }
            memory->last[place] = kept - 1;
            entry_lower(&memory->ordered[place], least);
            for (int i = 0; i < THREADS; i++) {
                entry_lower(&memory->views[i][place], least);
            }
        }
    }

    static void arguments_done(int value)
    {
        memory_forget();
        now.a_who = 0;
        now.a_place = 0;
        now.a_choice = 0;
        now.a_other = 0;
        now.a_value = value;
    }

    static void memory_begin(void)
    {
        memset(&now.memory, 0, sizeof now.memory);
        for (int i = 0; i < THREADS; i++) {
            memset(now.memory.views[i] + ATOMICS, 1, PLACES - ATOMICS);
        }
        now.memory.ended[0] = 1; /* init looks without a view */
    }

    static void memory_set(void)
    {
        message_at(now.a_place, 0)->value = now.a_value;
        arguments_done(0);
    }

    static void memory_peek(void)
    {
        int value = message_at(now.a_place, now.memory.last[now.a_place])->value;
        arguments_done(value);
    }

    /* A bit for each message that a_who may read: bit 1 is the newest. Bit 0 stands for the success of
     * a compare-and-swap. */
    static void choices_find(int order)
    {
        int last = now.memory.last[now.a_place];
        int first = now.memory.views[now.a_who][now.a_place];
        if (order == seq_cst && first < now.memory.ordered[now.a_place]) {
            first = now.memory.ordered[now.a_place];
        }
        now.a_choices = (1 << (last - first + 2)) - 2;
    }

    static void memory_read(int order)
    {
        int at = now.memory.last[now.a_place] + 1 - now.a_choice;
        unsigned char *view = now.memory.views[now.a_who];
        view[now.a_place] = at;
        if (order_acquires(order)) {
            view_join(view, message_at(now.a_place, at)->view);
        }
        int value = message_at(now.a_place, at)->value;
        arguments_done(value);
    }

    /* `carried`: what the message carries that this one replaces. */
    static void memory_append(int value, int order, const unsigned char *carried)
    {
        int at = now.memory.last[now.a_place] + 1;
        unsigned char *view = now.memory.views[now.a_who];
        if (at == MESSAGES) {
            now.too_many = 1;
            return;
        }
        struct message *message = message_at(now.a_place, at);
        now.memory.last[now.a_place] = at;
        view[now.a_place] = at;
        message->value = value;
        memcpy(message->view, carried, PLACES);
        if (order_releases(order)) {
            view_join(message->view, view);
        }
        message->view[now.a_place] = at;
        if (order == seq_cst) {
            now.memory.ordered[now.a_place] = at;
        }
    }

    static void memory_store(int order)
    {
        static const unsigned char nothing[PLACES];
        memory_append(now.a_value, order, nothing);
        arguments_done(0);
    }

    /* A read-modify-write. The operand is a_value. */
    static void memory_change(int change, int order)
    {
        struct message old = *message_at(now.a_place, now.memory.last[now.a_place]);
        if (order_acquires(order)) {
            view_join(now.memory.views[now.a_who], old.view);
        }
        memory_append(change == change_or    ? old.value | now.a_value
                      : change == change_and ? old.value & now.a_value
                      : change == change_add ? old.value + now.a_value
                                             : now.a_value,
                      order, old.view);
        int value = old.value;
        arguments_done(value);
    }

    /* A compare-and-swap: a_value is expected, a_other desired. It may succeed if the newest message
     * is as expected, and may fail on any that is not. */
    static void choices_find_swap(int order_failed)
    {
        int last = now.memory.last[now.a_place];
        choices_find(order_failed);
        int choices = now.a_choices;
        for (int back = 0; back <= last; back++) {
            if (message_at(now.a_place, last - back)->value == now.a_value) {
                choices &= ~(2 << back);
            }
        }
        if (message_at(now.a_place, last)->value == now.a_value) {
            choices |= 1;
        }
        now.a_choices = choices;
    }

    static void memory_swap(int order, int order_failed)
    {
        if (now.a_choice == 0) {
            now.a_value = now.a_other;
            memory_change(change_set, order);
        } else {
            memory_read(order_failed);
        }
    }

    static void memory_use(void)
    {
        struct memory *memory = &now.memory;
        if (memory->views[now.a_who][now.a_place] == 0) {
            now.race = 1;
        }
        place_forget(now.a_place, 1);
        for (int i = 0; i < THREADS; i++) {
            memory->views[i][now.a_place] = i == now.a_who;
        }
        arguments_done(0);
    }

    static void memory_look(void)
    {
        if (now.memory.views[now.a_who][now.a_place] == 0) {
            now.race = 1;
        }
        arguments_done(0);
    }

    /* Thread a_other gets to know all that a_who does. */
    static void memory_hand_over(void)
    {
        if (!now.memory.ended[now.a_other]) {
            view_join(now.memory.views[now.a_other], now.memory.views[now.a_who]);
        }
        arguments_done(0);
    }

    /* a_who asks for the barrier, a_other passes it. */
    static void barrier_pass(void)
    {
        struct memory *memory = &now.memory;
        if (memory->ended[now.a_other]) {
            view_join(memory->heard[now.a_who], memory->views[0]);
        } else {
            view_join(memory->heard[now.a_who], memory->views[now.a_other]);
            view_join(memory->views[now.a_other], memory->views[now.a_who]);
        }
        arguments_done(0);
    }

    static void barrier_end(void)
    {
        struct memory *memory = &now.memory;
        view_join(memory->views[now.a_who], memory->heard[now.a_who]);
        memset(memory->heard[now.a_who], 0, PLACES);
        arguments_done(0);
    }

    static void memory_end(void)
    {
        now.memory.ended[now.a_who] = 1;
        view_join(now.memory.views[0], now.memory.views[now.a_who]);
        memset(now.memory.views[now.a_who], 0, PLACES);
        arguments_done(0);
    }
}

/* Any of the choices; the loop goes on only if there is a higher one. */
#define CHOOSE \
    do \
    :: (a_choices >> a_choice) & 1 -> break \
    :: (a_choices >> a_choice) > 1 -> a_choice++ \
    od; a_choices = 0

/* atomic_load_explicit(place, order) */
#define load(place, order, result) \
    atomic { a_place = (place); a_who = _pid; c_code { choices_find(order); }; CHOOSE; \
             c_code { memory_read(order); }; result = a_value; a_value = 0 }

/* atomic_store_explicit(place, value, order) */
#define store(place, order, value) \
    atomic { a_place = (place); a_value = (value); a_who = _pid; \
             c_code { memory_store(order); }; assert(!too_many) }

#define CHANGE(change, place, order, operand, result) \
    atomic { a_place = (place); a_value = (operand); a_who = _pid; \
             c_code { memory_change(change, order); }; result = a_value; a_value = 0; \
             assert(!too_many) }

/* atomic_fetch_or_explicit and its kind; `result` is the old value */
#define fetch_or(place, order, bits, result) CHANGE(change_or, place, order, bits, result)
#define fetch_and(place, order, bits, result) CHANGE(change_and, place, order, bits, result)
#define fetch_add(place, order, value, result) CHANGE(change_add, place, order, value, result)
#define exchange(place, order, value, result) CHANGE(change_set, place, order, value, result)

/* atomic_compare_exchange_strong_explicit; whether it succeeded is in the process's `done`, and
 * what was read in `expected` */
#define cas(place, order, order_failed, expected, desired) \
    atomic { a_place = (place); a_value = (expected); a_other = (desired); a_who = _pid; \
             c_code { choices_find_swap(order_failed); }; CHOOSE; done = (a_choice == 0); \
             c_code { memory_swap(order, order_failed); }; expected = a_value; a_value = 0; \
             assert(!too_many) }

/* A use of a plain place, reading and writing; or reading only. */
#define use(place) \
    atomic { a_place = (place); a_who = _pid; c_code { memory_use(); }; assert(!race) }
#define look(place) \
    atomic { a_place = (place); a_who = _pid; c_code { memory_look(); }; assert(!race) }

/* The program itself, or a part that is not modelled here, orders two threads. */
#define hand_over(thread) \
    a_other = (thread); a_who = _pid; c_code { memory_hand_over(); }

/* One thread passes the barrier that this one asks for, with membarrier(2). */
#define barrier_at(thread) \
    atomic { a_other = (thread); a_who = _pid; c_code { barrier_pass(); } }
#define barrier_done() \
    atomic { a_who = _pid; c_code { barrier_end(); } }

/* For init: before all, and at the end. */
#define begin() c_code { memory_begin(); }
#define set(place, value) \
    a_place = (place); a_value = (value); c_code { memory_set(); }
#define peek(place, result) \
    a_place = (place); c_code { memory_peek(); }; result = a_value; a_value = 0

/* The last step of every process but init. */
#define finish() \
    atomic { a_who = _pid; c_code { memory_end(); }; finished++ }
