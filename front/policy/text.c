/*
 * text: reads and writes policies.
 */
#include "front/policy/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "front/observe/out.h"

static const char *const route_names[HAK_ROUTES] = {"ULTRA", "MID", "LARGE"};

/* What each is good for, and what it costs, is in design/0022-policies-and-learner.md. */
static const struct {
    const char *name, *text;
} profiles[] = {
    {"balanced", ""},
    {"low-memory", "class 1..1024 capacity 15; class 1025..4096 capacity 7;"
                   "class 4097..65536 route MID"},
    {"throughput", "class 257..1024 capacity 511; class 1025..4096 capacity 255"},
    {"huge-server", "class 257..1024 capacity 255; class 1025..4096 capacity 127;"
                    "class 16385..65536 capacity 3"},
};
#define KEYS "class, profile, tiny_max_class, smallmid"
#define PROFILE_NAMES "balanced, low-memory, throughput, huge-server"

struct word {
    const char *text;
    size_t bytes; /* 0: the statement has ended */
};

struct reader {
    const char *at; /* the first byte that was not read */
    unsigned line;
    struct word word;   /* the last one that was read */
    size_t first, last; /* classes that the statement is about */
    struct hak_policy *policy;
    char *fault; /* HAK_FAULT_BYTES */
};

/* Blank for a reader of words; the other ends of words end the statement, too. */
#define BLANKS " \t\r"
#define ENDS BLANKS "\n;#"
#define SHOWN_BYTES 40 /* of a word, in messages */

static void word_next(struct reader *reader)
{
    reader->at += strspn(reader->at, BLANKS);
    reader->word.text = reader->at;
    reader->word.bytes = strcspn(reader->at, ENDS);
    reader->at += reader->word.bytes;
}

/* Whether there is no word any more in this statement. */
static bool statement_ends(struct reader *reader)
{
    reader->at += strspn(reader->at, BLANKS);
    return strcspn(reader->at, ENDS) == 0;
}

static bool word_is(const struct word *word, const char *text)
{
    return strlen(text) == word->bytes && memcmp(text, word->text, word->bytes) == 0;
}

/* "line N: " and what is wrong. Returns false, for its callers to do so, too. */
__attribute__((format(printf, 2, 3))) static bool refuse(struct reader *reader, const char *format,
                                                         ...)
{
    va_list arguments;
    int bytes = snprintf(reader->fault, HAK_FAULT_BYTES, "line %u: ", reader->line);
    va_start(arguments, format);
    (void)vsnprintf(reader->fault + bytes, HAK_FAULT_BYTES - (size_t)bytes, format, arguments);
    va_end(arguments);
    return false;
}

/* NAME WORD is out of range RANGE; or it is not there. */
static bool refuse_value(struct reader *reader, const char *name, const char *range)
{
    int shown = (int)hak_min(reader->word.bytes, SHOWN_BYTES);
    return shown == 0 ? refuse(reader, "%s needs a value in %s", name, range)
                      : refuse(reader, "%s %.*s is out of range %s", name, shown, reader->word.text,
                               range);
}

static bool refuse_key(struct reader *reader, const char *keys)
{
    int shown = (int)hak_min(reader->word.bytes, SHOWN_BYTES);
    return shown == 0
               ? refuse(reader, "a key is missing, one of %s", keys)
               : refuse(reader, "unknown key %.*s, not one of %s", shown, reader->word.text, keys);
}

/* Up to six digits, and nothing else. */
static bool number_parse(const char *text, size_t bytes, size_t *number)
{
    *number = 0;
    for (size_t i = 0; i < bytes && i < 6; i++) {
        *number = *number * 10 + (size_t)(text[i] - '0');
    }
    return bytes > 0 && bytes <= 6 && strspn(text, "0123456789") >= bytes;
}

static bool number_read(struct reader *reader, const char *name, size_t least, size_t most,
                        size_t *number)
{
    char range[32];
    word_next(reader);
    if (number_parse(reader->word.text, reader->word.bytes, number) && *number >= least &&
        *number <= most) {
        return true;
    }
    (void)snprintf(range, sizeof range, "%zu..%zu", least, most);
    return refuse_value(reader, name, range);
}

/* The classes of a size, or of sizes from..to. */
static bool classes_read(struct reader *reader)
{
    word_next(reader);
    const char *text = reader->word.text;
    size_t bytes = hak_min(strcspn(text, "."), reader->word.bytes);
    size_t from = 0;
    size_t to = 0;
    bool is_good = number_parse(text, bytes, &from);
    if (bytes == reader->word.bytes) {
        to = from;
    } else {
        is_good = is_good && strncmp(text + bytes, "..", 2) == 0 &&
                  number_parse(text + bytes + 2, reader->word.bytes - bytes - 2, &to);
    }
    if (!is_good || from < 1 || from > to || to > HAK_MEDIUM_MAX) {
        return refuse_value(reader, "class", "1..65536");
    }
    reader->first = hak_class_bin(from);
    reader->last = hak_class_bin(to);
    return true;
}

static bool route_read(struct reader *reader)
{
    uint8_t route = 0;
    size_t slot_bytes = hak_classes[reader->first].geometry.slot_bytes;
    word_next(reader);
    while (route < HAK_ROUTES && !word_is(&reader->word, route_names[route])) {
        route++;
    }
    if (route == HAK_ROUTES) {
        return refuse_value(reader, "route", "ULTRA|MID|LARGE");
    }
    if (route == HAK_ROUTE_LARGE && slot_bytes <= HAK_POLICY_LARGE_ABOVE) {
        return refuse(reader, "class %zu is out of range %zu..65536 of route LARGE", slot_bytes,
                      HAK_POLICY_LARGE_ABOVE + 1);
    }
    for (size_t bin_idx = reader->first; bin_idx <= reader->last; bin_idx++) {
        reader->policy->classes[bin_idx].route = route;
    }
    return true;
}

static bool capacity_read(struct reader *reader)
{
    size_t capacity; /* the last class has the largest slots */
    if (!number_read(reader, "capacity", 0, hak_policy_capacity_max(reader->last), &capacity)) {
        return false;
    }
    for (size_t bin_idx = reader->first; bin_idx <= reader->last; bin_idx++) {
        reader->policy->classes[bin_idx].capacity = (uint16_t)capacity;
    }
    return true;
}

static bool class_read(struct reader *reader)
{
    bool done = classes_read(reader);
    for (word_next(reader); done; word_next(reader)) {
        done = word_is(&reader->word, "route")      ? route_read(reader)
               : word_is(&reader->word, "capacity") ? capacity_read(reader)
                                                    : refuse_key(reader, "route, capacity");
        if (done && statement_ends(reader)) {
            break;
        }
    }
    for (size_t bin_idx = reader->first; done && bin_idx <= reader->last; bin_idx++) {
        reader->policy->classes[bin_idx].is_given = true;
    }
    return done;
}

static bool profile_read(struct reader *reader)
{
    word_next(reader);
    const char *text = hak_policy_profile(reader->word.text, reader->word.bytes);
    return text == NULL ? refuse_value(reader, "profile", PROFILE_NAMES)
                        : hak_policy_parse(text, reader->policy, reader->fault);
}

static bool tiny_read(struct reader *reader)
{
    size_t class;
    bool done = number_read(reader, "tiny_max_class", 5, 7, &class);
    reader->policy->tiny_max_class = (uint8_t) class;
    return done && (class != 6 || refuse_value(reader, "tiny_max_class", "5|7"));
}

static bool smallmid_read(struct reader *reader)
{
    size_t on;
    bool done = number_read(reader, "smallmid", 0, 1, &on);
    reader->policy->smallmid = (uint8_t)(on + 1);
    return done;
}

/* A statement, whose first word was read. */
static bool statement_read(struct reader *reader)
{
    bool done = word_is(&reader->word, "class")            ? class_read(reader)
                : word_is(&reader->word, "profile")        ? profile_read(reader)
                : word_is(&reader->word, "tiny_max_class") ? tiny_read(reader)
                : word_is(&reader->word, "smallmid")       ? smallmid_read(reader)
                                                           : refuse_key(reader, KEYS);
    if (done && !statement_ends(reader)) {
        word_next(reader);
        done = refuse_key(reader, "none");
    }
    return done;
}

bool hak_policy_parse(const char *text, struct hak_policy *policy, char fault[HAK_FAULT_BYTES])
{
    struct reader reader = {.at = text, .line = 1, .policy = policy, .fault = fault};
    *policy = (struct hak_policy){.next = NULL};
    for (;; reader.at++) {
        word_next(&reader);
        if (reader.word.bytes != 0 && !statement_read(&reader)) {
            return false;
        }
        if (*reader.at == '#') {
            reader.at += strcspn(reader.at, "\n");
        }
        if (*reader.at == '\0') {
            return true;
        }
        reader.line += *reader.at == '\n';
    }
}

const char *hak_policy_profile(const char *name, size_t bytes)
{
    const struct word word = {name, bytes};
    for (size_t i = 0; i < sizeof profiles / sizeof profiles[0]; i++) {
        if (word_is(&word, profiles[i].name)) {
            return profiles[i].text;
        }
    }
    return NULL;
}

const char *hak_policy_route_name(unsigned route)
{
    return route_names[route];
}

size_t hak_policy_print(const struct hak_policy *policy, char *text, size_t bytes)
{
    static const struct hak_policy_class plain;
    struct hak_copy copy = {text, bytes, 0};
    struct hak_out out = {.write = hak_copy_write, .to = &copy};
    hak_copy_write(&copy, "", 0);
    for (size_t first = 1, last; first < HAK_BINS; first = last + 1) {
        const struct hak_policy_class *class = &policy->classes[first];
        last = first;
        while (last + 1 < HAK_BINS && hak_policy_same(class, &policy->classes[last + 1])) {
            last++;
        }
        if (!hak_policy_same(class, &plain)) {
            hak_out(&out, "class %u..%u route %s capacity %u\n",
                    hak_classes[first].geometry.slot_bytes, hak_classes[last].geometry.slot_bytes,
                    route_names[class->route], (unsigned)class->capacity);
        }
    }
    hak_out_end(&out);
    return copy.done;
}
