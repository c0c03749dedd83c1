/*
 * What the allocator says about itself: mallinfo, malloc_info, malloc_stats, trim, mallopt.
 *
 * ctest: labels=quick timeout=60
 */
#include "support.h"

#include <ctype.h>

#define HELD_BYTES (8 * MIB)

/* Takes HELD_BYTES in blocks of one size and writes to all of it. */
static void hold(char **blocks, size_t block_bytes)
{
    for (size_t i = 0; i < HELD_BYTES / block_bytes; i++) {
        blocks[i] = hak_malloc(block_bytes);
        assert_non_null(blocks[i]);
        memset(blocks[i], 1, block_bytes);
    }
}

static void let_go(char **blocks, size_t block_bytes)
{
    for (size_t i = 0; i < HELD_BYTES / block_bytes; i++)
        hak_free(blocks[i]);
}

static void report__mallinfo2__counts_what_is_held(void **state)
{
    static char *blocks[HELD_BYTES / 64];
    const size_t sizes[] = {64, 1000, 4096, 64 * KIB, MIB, HELD_BYTES};
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(sizes); i++) {
        hak_malloc_trim(0);
        struct mallinfo2 before = hak_mallinfo2();
        hold(blocks, sizes[i]);
        struct mallinfo2 held = hak_mallinfo2();
        assert_true(held.uordblks >= before.uordblks + HELD_BYTES / sizes[i] * sizes[i]);
        assert_true(held.uordblks <= before.uordblks + 2 * HELD_BYTES);
        assert_true(held.arena + held.hblkhd >= held.uordblks);
        let_go(blocks, sizes[i]);
        hak_malloc_trim(0);
        struct mallinfo2 after = hak_mallinfo2();
        assert_int_equal(after.uordblks, before.uordblks);
    }
}

static void report__mallinfo__agrees_with_mallinfo2(void **state)
{
    char *block = hak_malloc(HELD_BYTES);
    (void)state;
    assert_non_null(block);
    memset(block, 1, HELD_BYTES);
    struct mallinfo2 wide = hak_mallinfo2();
    struct mallinfo narrow = hak_mallinfo();
    assert_true(narrow.uordblks >= (int)HELD_BYTES);
    assert_int_equal(narrow.uordblks, wide.uordblks);
    assert_int_equal(narrow.arena, wide.arena);
    assert_int_equal(narrow.fordblks, wide.fordblks);
    hak_free(block);
}

/*
 * Reads XML without comments, text or CDATA between elements: every element that opens is
 * closed in order and attributes are quoted. Returns what is wrong, or NULL.
 */
static const char *xml_judge(const char *text)
{
    char open[32][32];
    unsigned depth = 0, elements = 0;
    for (const char *at = text; *at != '\0';) {
        if (*at != '<') {
            if (!isspace((unsigned char)*at) && depth == 0)
                return "text outside of an element";
            at++;
            continue;
        }
        bool closes = at[1] == '/';
        const char *name = at + 1 + closes, *end = name;
        while (isalnum((unsigned char)*end) || *end == '_' || *end == '-')
            end++;
        size_t length = (size_t)(end - name);
        if (length == 0 || length >= sizeof open[0])
            return "bad element name";
        unsigned quotes = 0;
        while (*end != '\0' && (*end != '>' || quotes % 2 != 0))
            quotes += *end++ == '"';
        if (*end == '\0')
            return "an element without its end";
        if (closes) {
            if (depth == 0 || strncmp(open[--depth], name, length) != 0 ||
                open[depth][length] != '\0')
                return "closed in the wrong order";
        } else if (end[-1] != '/') {
            if (depth == SUPPORT_COUNT(open))
                return "too deep";
            memcpy(open[depth], name, length);
            open[depth++][length] = '\0';
        }
        elements++;
        at = end + 1;
    }
    return depth != 0 ? "not closed" : elements < 3 ? "says nothing" : NULL;
}

static void report__malloc_info__well_formed_xml(void **state)
{
    static const char head[] = "<malloc version=\"1\">", tail[] = "</malloc>";
    char *text = NULL;
    size_t bytes = 0;
    (void)state;
    void *block = hak_malloc(HELD_BYTES), *small = support_hide(hak_malloc(100));
    FILE *stream = open_memstream(&text, &bytes);
    assert_non_null(stream);
    assert_int_equal(hak_malloc_info(0, stream), 0);
    assert_int_equal(fclose(stream), 0);
    hak_free(block);
    hak_free(small);
    assert_non_null(strstr(text, "<size from=\"97\" to=\"112\" "));
    while (bytes > 0 && isspace((unsigned char)text[bytes - 1]))
        text[--bytes] = '\0';
    assert_true(bytes > sizeof head + sizeof tail);
    assert_memory_equal(text, head, sizeof head - 1);
    assert_string_equal(text + bytes - (sizeof tail - 1), tail);
    const char *fault = xml_judge(text);
    if (fault != NULL)
        fail_msg("malloc_info: %s in %s", fault, text);
    free(text);
}

static void report__malloc_info_with_options__einval(void **state)
{
    char *text = NULL;
    size_t bytes = 0;
    (void)state;
    FILE *stream = open_memstream(&text, &bytes);
    assert_non_null(stream);
    assert_int_equal(hak_malloc_info(1, stream), EINVAL);
    assert_int_equal(hak_malloc_info(-1, stream), EINVAL);
    assert_int_equal(fclose(stream), 0);
    assert_int_equal(bytes, 0);
    free(text);
}

/* A stream that has room for so many bytes. */
static ssize_t room_write(void *room, const char *text, size_t bytes)
{
    size_t *left = room;
    (void)text;
    if (bytes > *left)
        return 0;
    *left -= bytes;
    return (ssize_t)bytes;
}

static int info_write(size_t *room)
{
    FILE *stream = fopencookie(room, "w", (cookie_io_functions_t){.write = room_write});
    assert_non_null(stream);
    assert_int_equal(setvbuf(stream, NULL, _IONBF, 0), 0);
    int result = hak_malloc_info(0, stream);
    (void)fclose(stream);
    return result;
}

static void report__malloc_info_to_a_stream_that_is_full__minus_1(void **state)
{
    size_t left = MIB;
    (void)state;
    assert_int_equal(info_write(&left), 0);
    size_t needed = MIB - left;
    for (size_t room = 0; room < needed; room += needed / 50) {
        left = room;
        assert_int_equal(info_write(&left), -1);
    }
}

static void write_stats(void *argument)
{
    char *block = hak_malloc(HELD_BYTES);
    (void)argument;
    SUPPORT_REQUIRE(block != NULL);
    memset(block, 1, HELD_BYTES);
    hak_malloc_stats();
    hak_free(block);
}

static void report__malloc_stats__numbers_on_stderr(void **state)
{
    (void)state;
    struct support_end end = support_run_child(write_stats, NULL);
    unsigned long long largest = 0;
    assert_int_equal(end.status, 0);
    for (const char *at = end.text; *at != '\0';) {
        char *after = (char *)at + 1;
        if (isdigit((unsigned char)*at)) {
            unsigned long long number = strtoull(at, &after, 10);
            largest = number > largest ? number : largest;
        }
        at = after;
    }
    assert_true(largest >= HELD_BYTES);
}

static void report__trim__one_when_memory_was_given_back(void **state)
{
    (void)state;
    hak_malloc_trim(0);
    char *block = hak_malloc(HELD_BYTES);
    assert_non_null(block);
    memset(block, 1, HELD_BYTES);
    hak_free(block);
    assert_int_equal(hak_malloc_trim(0), 1);
    for (unsigned i = 0; i < 10; i++) {
        int answer = hak_malloc_trim(i * 4096);
        assert_true(answer == 0 || answer == 1);
    }
}

static void report__mallopt__answers_1(void **state)
{
    const int parameters[] = {M_MXFAST,       M_NLBLKS,         M_GRAIN,          M_KEEP,
                              M_TOP_PAD,      M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX,
                              M_CHECK_ACTION, M_PERTURB,        M_ARENA_TEST,     M_ARENA_MAX};
    const int values[] = {0, 1, 64, 1 << 20};
    (void)state;
    for (size_t i = 0; i < SUPPORT_COUNT(parameters); i++) {
        for (size_t k = 0; k < SUPPORT_COUNT(values); k++)
            assert_int_equal(hak_mallopt(parameters[i], values[k]), 1);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(report__mallinfo2__counts_what_is_held),
        cmocka_unit_test(report__mallinfo__agrees_with_mallinfo2),
        cmocka_unit_test(report__malloc_info__well_formed_xml),
        cmocka_unit_test(report__malloc_info_with_options__einval),
        cmocka_unit_test(report__malloc_info_to_a_stream_that_is_full__minus_1),
        cmocka_unit_test(report__malloc_stats__numbers_on_stderr),
        cmocka_unit_test(report__trim__one_when_memory_was_given_back),
        cmocka_unit_test(report__mallopt__answers_1),
    };
    return cmocka_run_group_tests_name("report", tests, NULL, NULL);
}
