/*
 * The header mode: hakmem with the byte in front of each block that it had up to Phase 12.
 * What takes the place of front/layout.h in libhakmem-header.
 */
#ifndef HAK_COMPAT_LAYOUT_H
#define HAK_COMPAT_LAYOUT_H

#include "compat/switches.h"

HAK_SWITCHED_LAYOUT(true, true, false, hak_find_by_header);

#endif
