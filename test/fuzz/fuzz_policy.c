/*
 * Fuzz target: a policy's text.
 *
 * Purpose   whatever the text is, it is read to its end or refused with the number of a line that
 * it has; what is read is within its ranges, and written and read again it is the same; a refused
 * statement that is taken out with its line is not what the rest is refused for. Threads   one.
 *
 * ctest: corpus=policy
 */
#include "front/policy/text.h"

#include "fuzz.h"

#define TEXT_BYTES_MAX ((size_t)6001)

static size_t lines_of(const char *text)
{
    size_t lines = 1;
    for (; *text != '\0'; text++)
        lines += *text == '\n';
    return lines;
}

/* "line N: ..." of one line; returns N. */
static size_t fault_check(const char *text, const char *fault)
{
    unsigned long line = 0;
    int bytes = 0;
    FUZZ_REQUIRE(sscanf(fault, "line %lu: %n", &line, &bytes) == 1 && bytes > 0);
    FUZZ_REQUIRE(line >= 1 && line <= lines_of(text));
    FUZZ_REQUIRE(fault[bytes] != '\0' && strlen(fault) < HAK_FAULT_BYTES);
    FUZZ_REQUIRE(strchr(fault, '\n') == NULL);
    return line;
}

static void policy_check(const struct hak_policy *policy)
{
    static char text[HAK_BINS * 64];
    struct hak_policy again;
    char fault[HAK_FAULT_BYTES] = "";
    for (size_t i = 1; i < HAK_BINS; i++) {
        const struct hak_policy_class *class = &policy->classes[i];
        FUZZ_REQUIRE(class->route < HAK_ROUTES);
        FUZZ_REQUIRE(class->capacity <= hak_policy_capacity_max(i));
        FUZZ_REQUIRE(class->route != HAK_ROUTE_LARGE ||
                     hak_classes[i].geometry.slot_bytes > HAK_POLICY_LARGE_ABOVE);
        FUZZ_REQUIRE(class->is_given || (class->route == 0 && class->capacity == 0));
    }
    FUZZ_REQUIRE(policy->smallmid <= 2 && policy->tiny_max_class <= 7);
    FUZZ_REQUIRE(policy->tiny_max_class == 0 || policy->tiny_max_class == 5 ||
                 policy->tiny_max_class == 7);
    size_t bytes = hak_policy_print(policy, text, sizeof text);
    FUZZ_REQUIRE(bytes < sizeof text && strlen(text) == bytes);
    FUZZ_REQUIRE(hak_policy_parse(text, &again, fault) && fault[0] == '\0');
    for (size_t i = 1; i < HAK_BINS; i++) {
        FUZZ_REQUIRE(again.classes[i].route == policy->classes[i].route);
        FUZZ_REQUIRE(again.classes[i].capacity == policy->classes[i].capacity);
    }
}

/* Makes a comment of a line. */
static void line_drop(char *text, size_t line)
{
    for (; line > 1; line--)
        text = strchr(text, '\n') + 1;
    size_t bytes = strcspn(text, "\n");
    memset(text, '#', bytes);
}

int LLVMFuzzerInitialize(int *count, char ***arguments)
{
    (void)count;
    (void)arguments;
    hak_classes_init(HAK_SMALL_MAX, true);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    char text[TEXT_BYTES_MAX + 1] = "", fault[HAK_FAULT_BYTES] = "";
    struct hak_policy policy;
    size_t before = 0;
    memcpy(text, data, bytes < TEXT_BYTES_MAX ? bytes : TEXT_BYTES_MAX);
    while (!hak_policy_parse(text, &policy, fault)) {
        size_t line = fault_check(text, fault);
        FUZZ_REQUIRE(line > before); /* the lines above were good, or are comments now */
        before = line;
        line_drop(text, line);
    }
    policy_check(&policy);
    return 0;
}
