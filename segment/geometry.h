/*
 * geometry: how a page or span is cut into slots.
 *
 * Made by the front from its size classes; the segment layer only reads it.
 */
#ifndef HAK_GEOMETRY_H
#define HAK_GEOMETRY_H

#include "hak_base.h"

/* What pages of one class have in common. Made by the front from its size classes. */
struct hak_geometry {
    uint32_t slot_bytes; /* a multiple of 16 */
    uint32_t magic;      /* 2^32 / (slot_bytes / 8), rounded up; see hak_page_slot() */
    uint16_t slots;      /* in a page or span */
    uint16_t words;      /* of a bitmap */
    uint8_t span_pages;
    uint8_t pool;         /* enum hak_pool */
    uint16_t first_bytes; /* in front of the first slot; 0, or what the layout wants */
};

#endif
