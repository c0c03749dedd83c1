/*
 * remote: blocks that belong to another heap.
 *
 * They are gathered in a small table, one entry a bitmap word, and an entry becomes one
 * atomic_fetch_or when another word needs its place or when the table holds too many bytes.
 * The protocol with the owner stands in segment/page.h.
 */
#include "front/heap.h"
#include "hak_probe.h"

_Atomic(uint64_t) hak_remote_now[HAK_BINS];

/* What a heap may hold back of other heaps' blocks. */
#define REMOTE_BYTES_MAX (128 * HAK_KIB)

/* Fibonacci hashing (Knuth, The Art of Computer Programming, vol. 3, 6.4). */
static size_t entry_idx(uintptr_t key)
{
    return (uint64_t)key * 0x9e3779b97f4a7c15 >> (64 - __builtin_ctz(HAK_REMOTE_ENTRIES));
}

/* Hands a page to its owner, who wants to know of it. PENDING is ours, so is the link. */
static void owner_notify(struct hak_heap *owner, struct hak_page *page)
{
    /* relaxed: the CAS decides. */
    struct hak_page *head = atomic_load_explicit(&owner->pending, memory_order_relaxed);
    do {
        /* relaxed: published by the CAS. */
        atomic_store_explicit(&page->pending_next, head, memory_order_relaxed);
        /* seq_cst: release for the link; and before the load of `state`: an owner that becomes an
         * orphan writes its state first and looks at its list after that. */
    } while (!atomic_compare_exchange_weak_explicit(&owner->pending, &head, page,
                                                    memory_order_seq_cst, memory_order_relaxed));
    /* seq_cst: see above. */
    if (atomic_load_explicit(&owner->state, memory_order_seq_cst) == HAK_HEAP_ORPHAN) {
        hak_heap_help(owner);
    }
}

static void bits_free(struct hak_page *page, size_t word_idx, uint64_t bits)
{
    uintptr_t owner = hak_page_free_remote(page, word_idx, bits);
    HAK_PROBE3(remote, owner, hak_page_start(page), hak_popcount(bits));
    if (owner != 0) {
        owner_notify((struct hak_heap *)owner, page);
    }
}

static void entry_flush(struct hak_heap *heap, struct hak_remote_entry *entry)
{
    size_t word_idx = entry->key % _Alignof(struct hak_page);
    uint64_t bits = entry->bits;
    struct hak_page *page = (struct hak_page *)(entry->key - word_idx);
    entry->key = 0;
    entry->bits = 0;
    hak_tally_add(&heap->shelves[page->bin_idx].tally.remote, hak_popcount(bits));
    bits_free(page, word_idx, bits);
}

void hak_remote_flush(struct hak_heap *heap)
{
    if (heap->remote_bytes == 0) {
        return;
    }
    heap->remote_bytes = 0;
    for (size_t i = 0; i < HAK_REMOTE_ENTRIES; i++) {
        if (heap->remote[i].key != 0) {
            entry_flush(heap, &heap->remote[i]);
        }
    }
}

static size_t slot_of(const struct hak_page *page, const void *block)
{
    int64_t slot = hak_page_slot(page, block);
    HAK_CHECK(slot >= 0, "hakmem: free of a pointer inside a block");
    return (size_t)slot;
}

void hak_remote_free_now(void *block)
{
    struct hak_page *page = hak_page_of(block);
    size_t slot = slot_of(page, block);
    hak_figure_add(&hak_remote_now[page->bin_idx], 1);
    bits_free(page, slot / 64, (uint64_t)1 << (slot % 64));
}

bool hak_remote_free(struct hak_heap *heap, void *block)
{
    struct hak_page *page = hak_page_of(block);
    size_t slot = slot_of(page, block);
    uintptr_t key = (uintptr_t)page + slot / 64;
    struct hak_remote_entry *entry = &heap->remote[entry_idx(key)];
    if (entry->key != key) {
        if (entry->key != 0) {
            entry_flush(heap, entry);
        }
        entry->key = key;
    }
    uint64_t bit = (uint64_t)1 << (slot % 64);
    HAK_CHECK((entry->bits & bit) == 0, "hakmem: free of a block that is already free");
    entry->bits |= bit;
    heap->remote_bytes += page->slot_bytes;
    return heap->remote_bytes > REMOTE_BYTES_MAX;
}
