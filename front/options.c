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
};

struct hak_options hak_options;

/* A line of text built without allocation; what does not fit is cut. */
struct line {
    char text[256];
    size_t bytes;
};

static void line_add(struct line *line, const char *text)
{
    size_t bytes = hak_min(strlen(text), sizeof line->text - line->bytes);
    memcpy(line->text + line->bytes, text, bytes);
    line->bytes += bytes;
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

static void complain(const struct option *option, const char *name, const char *text)
{
    struct line line = {.bytes = 0};
    line_add(&line, "hakmem: ");
    line_add(&line, name);
    line_add(&line, "=");
    size_t room = hak_min(strlen(text), 100);
    memcpy(line.text + line.bytes, text, room);
    line.bytes += room;
    line_add(&line, " is out of range ");
    line_add_number(&line, option->minimum);
    line_add(&line, "..");
    line_add_number(&line, option->maximum);
    line_add(&line, ", using ");
    if (option->otherwise < option->minimum) {
        line_add(&line, "automatic");
    } else {
        line_add_number(&line, option->otherwise);
    }
    line_add(&line, "\n");
    hak_os_write_error(line.text, line.bytes);
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

static void option_read(const struct option *option)
{
    const char *name = option->name;
    const char *text = getenv(name);
    if (text == NULL && option->old_name != NULL) {
        name = option->old_name;
        text = getenv(name);
    }
    uint64_t number;
    *option->value = option->otherwise;
    if (text == NULL) {
        return;
    }
    if (number_parse(text, &number) && number >= option->minimum && number <= option->maximum &&
        !(option->value == &hak_options.tiny_max_class && number == 6)) {
        *option->value = number;
    } else {
        complain(option, name, text);
    }
}

void hak_options_read(void)
{
#define HAK_OPTION_ROW(field, name, old, otherwise, minimum, maximum, ...)                         \
    {&hak_options.field, name, old, otherwise, minimum, maximum},
    static const struct option options[] = {HAK_OPTIONS(HAK_OPTION_ROW)};
#undef HAK_OPTION_ROW
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        option_read(&options[i]);
    }
}
