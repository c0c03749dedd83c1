/*
 * Factor: the slots of the header mode, and nothing in them. The tag leads to the bin.
 * An experiment of design/0013; remove by 2027-06-30, when its answer is old.
 */
#ifndef HAK_FACTOR_H
#define HAK_FACTOR_H

#include "compat/header.h"

#define HAK_SWITCH_SPACE true
#define HAK_SWITCH_WRITE false
#define HAK_SWITCH_READ false
#define HAK_SWITCH_FIND hak_find_by_tag

#include "compat/switches.h"

#endif
