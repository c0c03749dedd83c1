/*
 * callers: walks frames.
 */
#include "front/observe/callers.h"

#include "segment/os.h"

/* No function has a larger frame; who has is not seen. */
#define FRAME_BYTES_MAX HAK_MIB

/* A frame starts with the caller's frame and the return address, on x86-64 and on aarch64. */
struct frame {
    uintptr_t next, back;
};

static bool is_after_call(uintptr_t address)
{
    const uint8_t *at = (const uint8_t *)address;
    return address > HAK_CALL_BYTES && hak_os_look(at - HAK_CALL_BYTES) == HAK_OS_READABLE &&
           HAK_ENDS_CALL(at);
}

static bool is_frame(uintptr_t address, uintptr_t below)
{
    return address > below && address - below <= FRAME_BYTES_MAX &&
           address % sizeof(uintptr_t) == 0 &&
           hak_os_look((const void *)address) == HAK_OS_READABLE &&
           hak_os_look((const char *)address + sizeof(uintptr_t)) == HAK_OS_READABLE;
}

size_t hak_callers(const void *frame, uintptr_t *callers, size_t max)
{
    const struct frame *at = frame;
    size_t count = 0;
    while (count < max && (count == 0 || is_after_call(at->back))) {
        callers[count++] = at->back;
        if (!is_frame(at->next, (uintptr_t)at)) {
            break;
        }
        at = (const struct frame *)at->next;
    }
    return count;
}
