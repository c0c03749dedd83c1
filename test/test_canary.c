/*
 * Zeros that nobody writes: each byte of a slot is looked at, and cleared, and none beside it.
 *
 * ctest: labels=quick timeout=60
 */
#include "front/harden/canary.h"

#include "support.h"

#define BYTES_MAX ((size_t)300) /* more than four turns of the loops */
#define AROUND ((size_t)64)
#define MARK 0x5a

static _Alignas(16) char slot[AROUND + BYTES_MAX + AROUND];

static void is_zero__any_length__only_when_all_are(void **state)
{
    (void)state;
    for (size_t bytes = 0; bytes <= BYTES_MAX; bytes++) {
        memset(slot, MARK, sizeof slot);
        memset(slot + AROUND, 0, bytes);
        assert_true(hak_canary_is_zero(slot + AROUND, bytes));
    }
}

static void is_zero__one_bit_of_any_byte__is_seen(void **state)
{
    (void)state;
    memset(slot, 0, sizeof slot);
    for (size_t bytes = 1; bytes <= BYTES_MAX; bytes++) {
        for (size_t at = 0; at < bytes; at++) {
            slot[AROUND + at] = (char)(1 << (bytes + at) % 8);
            assert_false(hak_canary_is_zero(slot + AROUND, bytes));
            slot[AROUND + at] = 0;
        }
    }
}

static void clear__any_grains__clears_these_alone(void **state)
{
    (void)state;
    for (size_t bytes = 0; bytes <= BYTES_MAX; bytes += 16) {
        memset(slot, MARK, sizeof slot);
        hak_canary_clear(slot + AROUND, bytes);
        for (size_t at = 0; at < sizeof slot; at++) {
            bool inside = at >= AROUND && at < AROUND + bytes;
            assert_int_equal(slot[at], inside ? 0 : MARK);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_zero__any_length__only_when_all_are),
        cmocka_unit_test(is_zero__one_bit_of_any_byte__is_seen),
        cmocka_unit_test(clear__any_grains__clears_these_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
