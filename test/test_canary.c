/*
 * Zeros that nobody writes: each byte of a slot is looked at, and cleared, and none beside it. And
 * the canary: which bytes it may be, and that each that is asked for is looked at in front of a
 * slot.
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

#define PLACES 4096

static char places[PLACES][16];

/* Every byte of it has the fixed bits, and all values that are left, by place and by secret. */
static void canary__by_place_or_secret__each_byte_is_one_of_16(void **state)
{
    (void)state;
    for (unsigned by_secret = 0; by_secret < 2; by_secret++) {
        bool seen[8][256] = {{false}};
        size_t values = 0;
        for (size_t i = 0; i < PLACES; i++) {
            hak_canary_secret = by_secret ? i * 0x9e3779b97f4a7c15 : 1;
            uint64_t canary = hak_canary_of(places[by_secret ? 0 : i]);
            for (size_t at = 0; at < 8; at++) {
                uint8_t byte = (uint8_t)(canary >> 8 * at);
                assert_int_equal(byte & ~0x66, 0x91);
                values += !seen[at][byte];
                seen[at][byte] = true;
            }
        }
        assert_int_equal(values, 8 * 16);
    }
}

static void holds_last__any_count__sees_these_alone(void **state)
{
    char *to = slot + AROUND;
    uint64_t canary = hak_canary_of(slot);
    (void)state;
    for (size_t bytes = 0; bytes <= 24; bytes++) {
        for (unsigned beyond = 0; beyond < 2; beyond++) {
            memset(slot, MARK, sizeof slot);
            hak_canary_fill(to - bytes, to, canary);
            assert_true(hak_canary_holds_last(to, bytes, canary, beyond));
            for (size_t at = 0; at < 2 * AROUND; at++) {
                bool inside = at < AROUND && AROUND - at <= hak_min(bytes, 8);
                slot[at] ^= 1 << at % 8;
                assert_int_equal(hak_canary_holds_last(to, bytes, canary, beyond), !inside);
                slot[at] ^= 1 << at % 8;
            }
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(is_zero__any_length__only_when_all_are),
        cmocka_unit_test(is_zero__one_bit_of_any_byte__is_seen),
        cmocka_unit_test(canary__by_place_or_secret__each_byte_is_one_of_16),
        cmocka_unit_test(holds_last__any_count__sees_these_alone),
        cmocka_unit_test(clear__any_grains__clears_these_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
