/*
 * limit: how much memory the process may have from here (HAKMEM_LIMIT).
 *
 * Purpose   a request that would go above it is answered with NULL and ENOMEM, after everything
 *           free was given back, where the system would end the process. This file only reads the
 *           option: what is counted, and where, stands at hak_purge_keeps_limit() in
 *           segment/purge.h.
 * Threads   called once at start.
 */
#ifndef HAK_LIMIT_H
#define HAK_LIMIT_H

#include "hak_base.h"

/* HAKMEM_LIMIT: bytes, perhaps with K, M or G, or "cgroup". 0: no limit. What cannot be read is
 * said on standard error, and is no limit. */
size_t hak_limit_read(void);

#endif
