/*
 * harden: which part serves a call, and what happens once a process.
 */
#include "front/harden/harden.h"

#include <stdlib.h>
#include <sys/auxv.h>

#include "front/harden/inside.h"
#include "front/observe/guard.h"
#include "front/options.h"
#include "front/start.h"
#include "front/take.h"
#include "segment/huge.h"
#include "segment/purge.h"

uint64_t hak_canary_secret;

_Noreturn void hak_harden_refuse(enum hak_use use, enum hak_fault fault)
{
#define ROW(call)                                                                                  \
    {                                                                                              \
        "hakmem: " call " of a block that is already free",                                        \
            "hakmem: " call " of a pointer inside a block",                                        \
            "hakmem: " call " of a pointer that is no block"                                       \
    }
    static const char *const messages[HAK_USES][HAK_FAULTS] = {ROW("free"), ROW("realloc"),
                                                               ROW("malloc_usable_size")};
#undef ROW
    hak_fatal(messages[use][fault]);
}

/* ---- forks ---- */

static _Atomic(uint64_t) own_state; /* [any, atomic] where the kernel clears no page */
_Atomic(uint64_t) *hak_lock_state = &own_state;
_Atomic(uint64_t) hak_lock_numbers = HAK_LOCK_NUMBERS;
_Thread_local uint64_t hak_lock_number;

static void state_set(uint64_t state)
{
    /* release: pairs with hak_lock_take(); what was left half-way is settled. */
    atomic_store_explicit(hak_lock_state, state, memory_order_release);
}

static void state_init(void)
{
    void *page = hak_meta_new_wiped();
    hak_lock_state = page != NULL ? page : hak_lock_state;
    state_set(HAK_LOCK_SETTLED);
}

/* Again in a child that was forked while this goes on. */
void hak_lock_settle(void)
{
    uint64_t self = hak_lock_self();
    uint64_t at = HAK_LOCK_UNSETTLED;
    /* acquire: pairs with state_set(). */
    while (!atomic_compare_exchange_strong_explicit(hak_lock_state, &at, self, memory_order_acquire,
                                                    memory_order_acquire)) {
        if (at == HAK_LOCK_SETTLED || at == self) {
            return;
        }
        at = HAK_LOCK_UNSETTLED;
        hak_os_yield();
    }
    hak_slots_settle();
    hak_fence_settle();
    state_set(HAK_LOCK_SETTLED);
}

void hak_harden_fork_child(void)
{
    if (hak_lock_state == &own_state) {
        state_set(HAK_LOCK_UNSETTLED);
    }
}

/* ---- once a process ---- */

_Atomic(bool) hak_hardened;

/* After hak_harden_decide(), and not before. */
static bool is_on(void)
{
    /* relaxed: it does not change after the start. */
    return atomic_load_explicit(&hak_hardened, memory_order_relaxed);
}

bool hak_harden_decide(void)
{
    return !hak_start() || is_on();
}

void hak_harden_choose(void)
{
    if (hak_options.harden != 0) {
        hak_options.huge = HAK_HUGE_OFF; /* a fence is smaller than a huge page */
    }
}

/* From the 16 random bytes that the kernel gives each program. The C library makes its own secrets
 * of them; the sum of two mixed halves tells neither. */
void hak_harden_init(void)
{
    uint64_t bytes[2] = {0, 0};
    uintptr_t at = getauxval(AT_RANDOM);
    if (hak_options.harden == 0) {
        return;
    }
    if (at != 0) {
        memcpy(bytes, (const void *)at, sizeof bytes);
    }
    uint64_t seed = hak_harden_random(&bytes[0]) + hak_harden_random(&bytes[1]);
    hak_canary_secret = hak_harden_random(&seed);
    hak_slots_init(&seed);
    state_init();
    /* release: pairs with hak_harden_is_on(). */
    atomic_store_explicit(&hak_hardened, true, memory_order_release);
}

/* ---- at exit ---- */

/* What nobody freed, and what was freed and not handed out again, is looked at in the end. */
__attribute__((destructor)) static void harden_ends(void)
{
    if (!is_on()) {
        return;
    }
    for (size_t page_idx = 0; page_idx < hak_region_pages(); page_idx++) {
        uintptr_t tag = hak_region_tag(page_idx);
        struct hak_page *page = hak_page_at(page_idx);
        if (tag == HAK_TAG_LARGE) {
            hak_fence_check(page_idx);
        } else if (hak_slots_own(tag) && page == hak_page_of(hak_page_start(page))) {
            hak_slots_check(page, tag);
        }
    }
}

__attribute__((constructor)) static void harden_loaded(void)
{
    if (hak_start() && is_on()) {
        (void)at_quick_exit(harden_ends);
    }
}

/* ---- calls ---- */

/* The bin whose slots hold so many bytes and one more, at multiples of `alignment`; 0: none, and
 * for nothing. */
static size_t bin_of(size_t size, size_t alignment)
{
    if (size == 0 || size >= HAK_MEDIUM_MAX || alignment > HAK_PAGE_BYTES) {
        return 0;
    }
    if (HAK_LIKELY(alignment <= HAK_GRAIN)) {
        return hak_class_bin(size + 1);
    }
    size_t bin_idx = hak_class_aligned_bin(size + 1, alignment);
    return hak_classes[bin_idx].geometry.slot_bytes <= size + HAK_SLACK_MAX ? bin_idx : 0;
}

void *hak_harden_take(size_t size, size_t alignment)
{
    if (!is_on()) {
        return hak_take_nothing(); /* it could not be started */
    }
    size_t bin_idx = bin_of(size, alignment);
    bool slot = bin_idx != 0 || (size == 0 && alignment <= HAK_GRAIN);
    void *block = slot ? hak_slots_take(bin_idx, size) : hak_fence_take(size, alignment, 0);
    return HAK_LIKELY(block != NULL) ? block : hak_take_nothing();
}

/* The tag of an address's page. Stops if the address is not in the arena. */
static uintptr_t tag_of(const void *address, enum hak_use use)
{
    size_t page_idx = hak_region_page_idx(address);
    if (page_idx >= hak_region_pages()) {
        hak_harden_refuse(use, HAK_FAULT_NO_BLOCK);
    }
    return hak_region_tag(page_idx);
}

void hak_harden_free(void *block)
{
    if (!is_on()) {
        hak_guard_foreign(block);
        return;
    }
    uintptr_t tag = tag_of(block, HAK_USE_FREE);
    if (hak_slots_own(tag)) {
        hak_slots_give(block, tag);
    } else {
        hak_fence_give(block);
    }
}

size_t hak_harden_usable_bytes(const void *block, enum hak_use use)
{
    if (block == NULL || !is_on()) {
        return 0;
    }
    uintptr_t tag = tag_of(block, use);
    return hak_slots_own(tag) ? hak_slots_size(block, tag, use) : hak_fence_size(block, use);
}

/* C++ makes a block of nothing one byte long. */
void hak_harden_check_size(const void *block, size_t alignment, size_t size)
{
    if (block == NULL || !hak_harden_is_on()) {
        return;
    }
    size_t bytes = hak_harden_usable_bytes(block, HAK_USE_FREE);
    HAK_CHECK(hak_max(bytes, 1) == hak_max(size, 1) &&
                  (uintptr_t)block % hak_max(alignment, 1) == 0,
              HAK_MESSAGE_SIZE);
}

/* Share of its size that a block which grows gets on top when it has to move, so that growing in
 * steps rarely moves it: address space, until it grows on. */
#define GROWTH_SHARE 4

void *hak_harden_realloc(void *block, size_t size)
{
    size_t old_bytes;
    if (!is_on()) {
        return hak_take_nothing();
    }
    uintptr_t tag = tag_of(block, HAK_USE_REALLOC);
    if (size > PTRDIFF_MAX) {
        return hak_take_nothing();
    }
    size_t bin_idx = bin_of(size, HAK_GRAIN);
    for (int pass = 0; pass < 2; pass++) { /* once more, with what was spare */
        if (hak_slots_own(tag) ? hak_slots_resize(block, tag, size, &old_bytes)
                               : hak_fence_resize(block, size, &old_bytes, pass != 0)) {
            return block;
        }
        size_t room = size > old_bytes ? size / GROWTH_SHARE : 0;
        void *new =
            bin_idx != 0 ? hak_slots_take(bin_idx, size) : hak_fence_take(size, HAK_GRAIN, room);
        if (new != NULL) {
            memcpy(new, block, hak_min(old_bytes, size));
            hak_harden_free(block);
            return new;
        }
    }
    return hak_take_nothing();
}

bool hak_harden_trim(void)
{
    bool any = is_on() && hak_harden_let_go(0);
    return (is_on() && hak_purge_all() != 0) || any;
}

size_t hak_harden_resting_bytes(size_t page_idx)
{
    uintptr_t tag = hak_region_tag(page_idx);
    const struct hak_page *page = hak_page_at(page_idx);
    return !is_on()             ? 0
           : hak_slots_own(tag) ? hak_slots_resting_bytes(page, tag)
                                : hak_fence_resting_bytes(page);
}
