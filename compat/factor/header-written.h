/*
 * Factor: the header is written and not read. The tag leads to the bin.
 * An experiment of design/0013; remove by 2027-06-30, when its answer is old.
 */
#ifndef HAK_FACTOR_H
#define HAK_FACTOR_H

#include "compat/switches.h"

HAK_SWITCHED_LAYOUT(true, true, false, hak_find_by_tag);

#endif
