/*
 * The header mode: hakmem with the byte in front of each block that it had up to Phase 12.
 * What takes the place of front/layout.h in libhakmem-header.
 */
#ifndef HAK_COMPAT_LAYOUT_H
#define HAK_COMPAT_LAYOUT_H

#include "compat/header.h"

#define HAK_SWITCH_SPACE true
#define HAK_SWITCH_WRITE true
#define HAK_SWITCH_READ false /* hak_find_by_header() does */
#define HAK_SWITCH_FIND hak_find_by_header

#include "compat/switches.h"

#endif
