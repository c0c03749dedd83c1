/*
 * Factor: the header is read and not written. The tag leads to the bin.
 * An experiment of design/0013; remove by 2027-06-30, when its answer is old.
 */
#ifndef HAK_FACTOR_H
#define HAK_FACTOR_H

#include "compat/switches.h"

HAK_SWITCHED_LAYOUT(true, false, true, hak_find_by_tag);

#endif
