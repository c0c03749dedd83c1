/*
 * hak_probe: places in the slow paths that a tracer can stop at (USDT).
 *
 * Purpose   where <sys/sdt.h> is there at the build (Debian: systemtap-sdt-dev), a probe is a `nop`
 *           and a note in the library that says where it stands and where its arguments are; else
 *           nothing. design/probes.md lists them. Never on a fast path.
 * Threads   any.
 */
#ifndef HAK_PROBE_H
#define HAK_PROBE_H

#if defined(__has_include)
#if __has_include(<sys/sdt.h>)
#include <sys/sdt.h>
#endif
#endif

#if defined(DTRACE_PROBE)
#define HAK_PROBE1(name, a) DTRACE_PROBE1(hakmem, name, a)
#define HAK_PROBE2(name, a, b) DTRACE_PROBE2(hakmem, name, a, b)
#define HAK_PROBE3(name, a, b, c) DTRACE_PROBE3(hakmem, name, a, b, c)
#else
#define HAK_PROBE1(name, a) ((void)(a))
#define HAK_PROBE2(name, a, b) ((void)(a), (void)(b))
#define HAK_PROBE3(name, a, b, c) ((void)(a), (void)(b), (void)(c))
#endif

#endif
