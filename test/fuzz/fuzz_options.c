/*
 * Fuzz target: the environment as the options read it.
 *
 * Purpose   an input is lines; the first byte of each chooses the variable, the rest is its value.
 *           What is read must be what a second, plain reading of front/options.h says, and each
 *           refused value, and no other, must be named in one line of the right form.
 *           What the options need of the system stands here, so nothing else of the library is
 *           linked.
 * Threads   one.
 *
 * ctest: corpus=options
 */
#include <ctype.h>

#include "front/harden/limit.h"
#include "front/options.h"
#include "segment/os.h"

#include "fuzz.h"

#define VALUE_BYTES_MAX ((size_t)1024)
#define GROUP_BYTES ((size_t)1 << 30)

/* ---- what the options ask of the system ----------------------------------------------------- */

static char said[4096]; /* by the variable that was read last */
static size_t said_bytes;
static unsigned said_lines;

void hak_os_write_error(const char *text, size_t bytes)
{
    FUZZ_REQUIRE(bytes > 0 && bytes <= 256 && said_bytes + bytes < sizeof said);
    memcpy(said + said_bytes, text, bytes);
    said_bytes += bytes;
    said[said_bytes] = '\0';
    said_lines++;
}

size_t hak_os_memory_allowed_bytes(void)
{
    return GROUP_BYTES;
}

/* ---- the plain reading ---------------------------------------------------------------------- */

enum shape { NUMBER, WORD, LIMIT, PATH };

static struct variable {
    const char *name;
    enum shape shape;
    const uint64_t *value;
    uint64_t otherwise, minimum, maximum;
    const char *words;
    const char *text; /* that it is set to; NULL: it is not */
    bool refused;
} variables[] = {
#define NUMBER_ROW(field, name, old, otherwise, minimum, maximum, ...)                             \
    {name, NUMBER, &hak_options.field, otherwise, minimum, maximum, NULL, NULL, false},
    HAK_OPTIONS(NUMBER_ROW)
#define WORD_ROW(field, name, otherwise, words, ...)                                               \
    {name, WORD, &hak_options.field, otherwise, 0, 0, words, NULL, false},
        HAK_WORD_OPTIONS(WORD_ROW){"HAKMEM_LIMIT", LIMIT, NULL, 0, 0, 0, NULL, NULL, false},
    {"HAKMEM_HUGETLBFS", PATH, NULL, 0, 0, 0, NULL, NULL, false},
};
#define VARIABLES (sizeof variables / sizeof variables[0])

static bool number_read(const char *text, uint64_t *number)
{
    size_t length = strlen(text);
    if (length == 0 || length > 18)
        return false;
    for (size_t i = 0; i < length; i++) {
        if (!isdigit((unsigned char)text[i]))
            return false;
    }
    *number = strtoull(text, NULL, 10);
    return true;
}

static uint64_t number_expected(struct variable *variable)
{
    uint64_t number;
    bool is_gap = strcmp(variable->name, "HAKMEM_TINY_MAX_CLASS") == 0;
    if (number_read(variable->text, &number) && number >= variable->minimum &&
        number <= variable->maximum && !(is_gap && number == 6))
        return number;
    variable->refused = true;
    return variable->otherwise;
}

static uint64_t word_expected(struct variable *variable)
{
    char words[128];
    uint64_t number = 0;
    FUZZ_REQUIRE(snprintf(words, sizeof words, "%s", variable->words) < (int)sizeof words);
    bool is_switch = strcmp(variable->name, "HAKMEM_STATS") == 0; /* 0 is off, 1 is text */
    if (is_switch && number_read(variable->text, &number) && strlen(variable->text) == 1 &&
        number <= 1)
        return number;
    number = 0;
    char *rest = words;
    for (char *word = strsep(&rest, "|"); word != NULL; word = strsep(&rest, "|"), number++) {
        if (strcmp(word, variable->text) == 0)
            return number;
    }
    variable->refused = true;
    return variable->otherwise;
}

static size_t limit_expected(struct variable *variable)
{
    char digits[20] = "";
    const char *text = variable->text;
    size_t length = strlen(text);
    uint64_t number = 0;
    unsigned shift = 0;
    if (strcmp(text, "cgroup") == 0)
        return GROUP_BYTES - GROUP_BYTES / 16;
    if (length > 0 && length < 18) {
        memcpy(digits, text, length + 1);
        char *last = &digits[length - 1];
        shift = *last == 'K' ? 10 : *last == 'M' ? 20 : *last == 'G' ? 30 : 0;
        if (shift != 0)
            *last = '\0';
    }
    if (number_read(digits, &number) && strlen(digits) <= 15 && number <= UINT64_MAX >> shift &&
        number << shift >= 4 * HAK_MIB && number << shift <= 65536 * HAK_GIB)
        return (size_t)(number << shift);
    variable->refused = true;
    return 0;
}

/* ---- the check ------------------------------------------------------------------------------ */

static void check_value(struct variable *variable)
{
    variable->refused = false;
    if (variable->shape == LIMIT)
        FUZZ_REQUIRE(hak_limit_read() == (variable->text == NULL ? 0 : limit_expected(variable)));
    else if (variable->shape == PATH)
        FUZZ_REQUIRE(hak_options.hugetlbfs == getenv(variable->name));
    else if (variable->text == NULL)
        FUZZ_REQUIRE(*variable->value == variable->otherwise);
    else
        FUZZ_REQUIRE(*variable->value == (variable->shape == NUMBER ? number_expected(variable)
                                                                    : word_expected(variable)));
}

/* "hakmem: NAME=VALUE is out of range RANGE, using DEFAULT", the value cut after 100 bytes. */
static void check_line(const struct variable *variable)
{
    char start[256];
    int bytes = snprintf(start, sizeof start, "hakmem: %s=%.100s is out of range ", variable->name,
                         variable->text);
    FUZZ_REQUIRE(bytes > 0 && (size_t)bytes < sizeof start);
    const char *line = strstr(said, start);
    FUZZ_REQUIRE(line != NULL);
    const char *range = line + bytes;
    const char *rest = strstr(range, ", using ");
    FUZZ_REQUIRE(rest != NULL && rest > range && strchr(rest, '\n') > rest + strlen(", using "));
}

static void check(void)
{
    unsigned refused = 0;
    said_bytes = 0;
    said_lines = 0;
    said[0] = '\0';
    hak_options_read();
    for (size_t i = 0; i < VARIABLES; i++) {
        check_value(&variables[i]);
        refused += variables[i].refused;
    }
    FUZZ_REQUIRE(said_lines == refused);
    for (size_t i = 0; i < VARIABLES; i++) {
        if (variables[i].refused)
            check_line(&variables[i]);
    }
}

int LLVMFuzzerInitialize(int *count, char ***arguments)
{
    (void)count;
    (void)arguments;
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    for (size_t i = 0; i < VARIABLES; i++) {
        unsetenv(variables[i].name);
        variables[i].text = NULL;
    }
    while (bytes > 0) {
        const uint8_t *end = memchr(data, '\n', bytes);
        size_t line_bytes = end == NULL ? bytes : (size_t)(end - data);
        if (line_bytes > 0) {
            char value[VALUE_BYTES_MAX + 1] = "";
            struct variable *variable = &variables[data[0] % VARIABLES];
            size_t value_bytes =
                line_bytes - 1 < VALUE_BYTES_MAX ? line_bytes - 1 : VALUE_BYTES_MAX;
            memcpy(value, data + 1, value_bytes);
            FUZZ_REQUIRE(setenv(variable->name, value, 1) == 0);
            variable->text = getenv(variable->name);
        }
        data += end == NULL ? line_bytes : line_bytes + 1;
        bytes -= end == NULL ? line_bytes : line_bytes + 1;
    }
    for (size_t i = 0; i < VARIABLES; i++)
        variables[i].text = getenv(variables[i].name);
    check();
    return 0;
}
