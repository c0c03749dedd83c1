/*
 * options: reads the environment.
 */
#include "front/options.h"

#include <stdlib.h>
#include <string.h>

#include "segment/os.h"

struct option {
    uint64_t *value;
    const char *name, *old_name;
    uint64_t otherwise, minimum, maximum;
    const char *range;   /* as text; of a word, all there are, with | between them */
    const char *instead; /* the default as text; of a word, up to the first |: it is the first */
    bool is_word;
};

struct hak_options hak_options;

/* A line of text built without allocation; what does not fit is cut. */
struct line {
    char text[256];
    size_t bytes;
};

/* At most so much of a text. */
static void line_add_part(struct line *line, const char *text, size_t bytes)
{
    bytes = hak_min(bytes, sizeof line->text - line->bytes);
    memcpy(line->text + line->bytes, text, bytes);
    line->bytes += bytes;
}

static void line_add(struct line *line, const char *text)
{
    line_add_part(line, text, strlen(text));
}

static void line_add_number(struct line *line, uint64_t number)
{
    char digits[24];
    char *at = digits + sizeof digits;
    *--at = '\0';
    do {
        *--at = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    line_add(line, at);
}

/* "hakmem: NAME=TEXT" */
static struct line line_begin(const char *name, const char *text)
{
    struct line line = {.bytes = 0};
    line_add(&line, "hakmem: ");
    line_add(&line, name);
    line_add(&line, "=");
    line_add_part(&line, text, hak_min(strlen(text), 100));
    return line;
}

static void line_write(struct line *line)
{
    line_add(line, "\n");
    hak_os_write_error(line->text, line->bytes);
}

void hak_options_refuse(const char *name, const char *text, const char *range, const char *instead)
{
    struct line line = line_begin(name, text);
    line_add(&line, " is out of range ");
    line_add(&line, range);
    line_add(&line, ", using ");
    line_add_part(&line, instead, strcspn(instead, "|"));
    line_write(&line);
}

/* Decimal digits and nothing else; false on anything else or more than 18 digits. */
static bool number_parse(const char *text, uint64_t *number)
{
    size_t digits = 0;
    *number = 0;
    for (; text[digits] >= '0' && text[digits] <= '9' && digits < 19; digits++) {
        *number = *number * 10 + (uint64_t)(text[digits] - '0');
    }
    return digits > 0 && digits < 19 && text[digits] == '\0';
}

/* The number of a word among those of a list; false if it is none. */
static bool word_find(const char *words, const char *word, uint64_t *number)
{
    size_t bytes = strlen(word);
    for (*number = 0; words != NULL; (*number)++) {
        size_t length = strcspn(words, "|");
        if (length == bytes && memcmp(words, word, bytes) == 0) {
            return true;
        }
        words = words[length] == '|' ? words + length + 1 : NULL;
    }
    return false;
}

static bool option_parse(const struct option *option, const char *text, uint64_t *number)
{
    if (option->value == &hak_options.stats && (*text == '0' || *text == '1') && text[1] == 0) {
        *number = (uint64_t)(*text - '0'); /* off or text */
        return true;
    }
    if (option->is_word) {
        return word_find(option->range, text, number);
    }
    return number_parse(text, number) && *number >= option->minimum && *number <= option->maximum &&
           !(option->value == &hak_options.tiny_max_class && *number == 6);
}

/* A privileged program is not ended, and tells nothing, at its caller's wish. */
static const char *option_text(const struct option *option, const char *name)
{
    const uint64_t *const refused[] = {
        &hak_options.huge_require, &hak_options.harden,      &hak_options.live,
        &hak_options.stats,        &hak_options.lock_stats,  &hak_options.guard,
        &hak_options.guard_report, &hak_options.guard_stats, &hak_options.guard_log,
        &hak_options.prof,         &hak_options.prof_bytes,  &hak_options.prof_signal,
        &hak_options.prof_leaks,   &hak_options.prof_stacks,
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        if (option->value == refused[i]) {
            return secure_getenv(name);
        }
    }
    return getenv(name);
}

static void option_read(const struct option *option)
{
    const char *name = option->name;
    const char *text = option_text(option, name);
    if (text == NULL && option->old_name != NULL) {
        name = option->old_name;
        text = option_text(option, name);
    }
    *option->value = option->otherwise;
    uint64_t number;
    if (text != NULL && option_parse(option, text, &number)) {
        *option->value = number;
    } else if (text != NULL) {
        hak_options_refuse(name, text, option->range, option->instead);
    }
}

void hak_options_read(void)
{
#define NUMBER(field, name, old, otherwise, minimum, maximum, ...)                                 \
    {&hak_options.field,                                                                           \
     name,                                                                                         \
     old,                                                                                          \
     otherwise,                                                                                    \
     minimum,                                                                                      \
     maximum,                                                                                      \
     #minimum ".." #maximum,                                                                       \
     (otherwise) < (minimum) ? "automatic" : #otherwise,                                           \
     false},
#define WORD(field, name, otherwise, words, ...)                                                   \
    {&hak_options.field, name, NULL, otherwise, 0, 0, words, words, true},
    static const struct option options[] = {HAK_OPTIONS(NUMBER) HAK_WORD_OPTIONS(WORD)};
#undef NUMBER
#undef WORD
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        option_read(&options[i]);
    }
    hak_options.hugetlbfs = secure_getenv("HAKMEM_HUGETLBFS");
}

void hak_options_say(const char *name, const char *text, const char *fault)
{
    struct line line = line_begin(name, text);
    line_add(&line, " ");
    line_add(&line, fault);
    line_write(&line);
}

void hak_options_say_fault(const char *name, const char *fault, const char *instead)
{
    struct line line = {.bytes = 0};
    const char *const parts[] = {"hakmem: ", name, ": ", fault, ", using ", instead};
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        line_add(&line, parts[i]);
    }
    line_write(&line);
}

void hak_options_say_short(const char *name, uint64_t asked, uint64_t got)
{
    struct line line = line_begin(name, "");
    line_add_number(&line, asked);
    line_add(&line, ": only ");
    line_add_number(&line, got);
    line_add(&line, " could be had (hakmem doctor says why)");
    line_write(&line);
}
