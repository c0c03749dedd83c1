/*
 * classes: fills the tables of sizes.
 */
#include "front/classes.h"

#include "front/layout.h"

#define SMALLMID_MAX ((size_t)4096)
#define SMALLMID_BINS ((size_t)16)
/* The largest size whose first magazine holds 7 blocks. */
#define FIRST_SEVEN_MAX (16 * HAK_KIB)
/* What a magazine may hold at most, in blocks and in bytes. */
#define CAPACITY_MAX 1023
#define SMALL_MAGAZINE_BYTES (64 * HAK_KIB)
#define SMALLMID_MAGAZINE_BYTES (128 * HAK_KIB)
#define MID_MAGAZINE_BYTES (1024 * HAK_KIB)

struct hak_class hak_classes[HAK_BINS];
uint8_t hak_medium_bins[HAK_MEDIUM_MAX >> HAK_MEDIUM_SHIFT];

static size_t bin_slot_bytes(size_t bin)
{
    if (bin <= HAK_SMALL_BINS) {
        return bin * HAK_GRAIN;
    }
    size_t step = bin - HAK_SMALL_BINS - 1;
    if (step < SMALLMID_BINS) { /* 8 steps a doubling of 1 KiB */
        return (HAK_SMALL_MAX + (step % 8 + 1) * (HAK_SMALL_MAX / 8)) << (step / 8);
    }
    step -= SMALLMID_BINS; /* 4 steps a doubling of 4 KiB */
    return (SMALLMID_MAX + (step % 4 + 1) * (SMALLMID_MAX / 4)) << (step / 4);
}

static enum hak_pool bin_pool(size_t slot_bytes, size_t tiny_max, bool smallmid)
{
    if (slot_bytes <= tiny_max || (!smallmid && slot_bytes <= HAK_SMALL_MAX)) {
        return HAK_POOL_TINY;
    }
    return smallmid && slot_bytes <= SMALLMID_MAX ? HAK_POOL_SMALLMID : HAK_POOL_MID;
}

/* Mid spans have 8 to 12 slots: few, so that they become free and serve another size. */
static uint8_t bin_span_pages(size_t slot_bytes)
{
    return (uint8_t)hak_max(hak_power_of_two_up(slot_bytes) * 8 / HAK_PAGE_BYTES, 1);
}

static uint16_t bin_max_capacity(size_t slot_bytes)
{
    size_t bytes = slot_bytes <= HAK_SMALL_MAX  ? SMALL_MAGAZINE_BYTES
                   : slot_bytes <= SMALLMID_MAX ? SMALLMID_MAGAZINE_BYTES
                                                : MID_MAGAZINE_BYTES;
    size_t blocks = hak_power_of_two_up(bytes / slot_bytes + 2) / 2 - 1; /* rounded down */
    return (uint16_t)hak_min(blocks, CAPACITY_MAX);
}

void hak_classes_init(size_t tiny_max, bool smallmid)
{
    size_t size = 0; /* sizes up to this one have a medium bin */
    for (size_t bin = 1; bin < HAK_BINS; bin++) {
        struct hak_class *class = &hak_classes[bin];
        struct hak_geometry *geometry = &class->geometry;
        size_t slot_bytes = bin_slot_bytes(bin);
        geometry->slot_bytes = (uint32_t)slot_bytes;
        geometry->magic = (uint32_t)((((uint64_t)1 << 32) + slot_bytes / 8 - 1) / (slot_bytes / 8));
        geometry->span_pages = bin_span_pages(slot_bytes);
        geometry->first_bytes = (uint16_t)HAK_LAYOUT_FIRST_BYTES(slot_bytes);
        geometry->slots =
            (uint16_t)((geometry->span_pages * HAK_PAGE_BYTES - geometry->first_bytes) /
                       slot_bytes);
        geometry->words = (uint16_t)((geometry->slots + 63) / 64);
        geometry->pool = (uint8_t)bin_pool(slot_bytes, tiny_max, smallmid);
        class->max_capacity = bin_max_capacity(slot_bytes);
        class->first_capacity = slot_bytes <= FIRST_SEVEN_MAX ? 7 : 3;
        for (; size < slot_bytes; size += (size_t)1 << HAK_MEDIUM_SHIFT) {
            hak_medium_bins[size >> HAK_MEDIUM_SHIFT] = (uint8_t)bin;
        }
    }
}

size_t hak_class_aligned_bin(size_t slot_bytes, size_t alignment)
{
    slot_bytes = hak_align_up(hak_max(slot_bytes, 1), hak_max(alignment, HAK_GRAIN));
    if (slot_bytes > HAK_MEDIUM_MAX) {
        return 0;
    }
    /* The sizes of a doubling are equal steps, so the next size is a multiple of it, too. */
    return hak_class_bin(slot_bytes);
}
