/*
 * prof_pprof: a profile in the form of pprof (profile.proto), compressed by gzip.
 *
 * A message is a row of fields: a number and a kind, then a varint, or a length and bytes. The
 * numbers of fields are those of github.com/google/pprof, proto/profile.proto.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "prof.h"

enum { OF_PROFILE_TYPE = 1, OF_PROFILE_SAMPLE, OF_PROFILE_MAPPING, OF_PROFILE_LOCATION };
enum { OF_PROFILE_FUNCTION = 5, OF_PROFILE_STRING, OF_PROFILE_PERIOD_TYPE = 11 };
enum { OF_PROFILE_PERIOD = 12, OF_PROFILE_COMMENT = 13, OF_PROFILE_DEFAULT = 14 };

struct message {
    unsigned char *bytes;
    size_t count, room;
};

/* Texts, each once; their numbers are those of functions, too. */
struct texts {
    const char **items;
    size_t count, room;
};

struct encoder {
    const struct prof *prof;
    struct message profile;
    struct texts texts;
};

static void byte_put(struct message *message, unsigned byte)
{
    if (message->count == message->room) {
        message->room = message->room * 2 + 256;
        unsigned char *grown = heap_table(message->room, 1);
        if (message->count != 0) {
            memcpy(grown, message->bytes, message->count);
        }
        free(message->bytes);
        message->bytes = grown;
    }
    message->bytes[message->count++] = (unsigned char)byte;
}

static void varint_put(struct message *message, uint64_t value)
{
    for (; value >= 128; value >>= 7) {
        byte_put(message, (unsigned)(value & 127) | 128);
    }
    byte_put(message, (unsigned)value);
}

static void number_put(struct message *message, unsigned field, uint64_t value)
{
    varint_put(message, field << 3);
    varint_put(message, value);
}

static void bytes_put(struct message *message, unsigned field, const void *bytes, size_t count)
{
    varint_put(message, field << 3 | 2);
    varint_put(message, count);
    for (size_t i = 0; i < count; i++) {
        byte_put(message, ((const unsigned char *)bytes)[i]);
    }
}

/* Puts a message into another one, and ends it. */
static void message_put(struct message *message, unsigned field, struct message *part)
{
    bytes_put(message, field, part->bytes, part->count);
    free(part->bytes);
    *part = (struct message){.count = 0};
}

static uint64_t text_number(struct encoder *encoder, const char *text)
{
    struct texts *texts = &encoder->texts;
    for (size_t i = 0; i < texts->count; i++) {
        if (texts->items[i] == text || strcmp(texts->items[i], text) == 0) {
            return i;
        }
    }
    if (texts->count == texts->room) {
        texts->room = texts->room * 2 + 256;
        const char **grown = heap_table(texts->room, sizeof *grown);
        if (texts->count != 0) {
            memcpy(grown, texts->items, texts->count * sizeof *grown);
        }
        free(texts->items);
        texts->items = grown;
    }
    texts->items[texts->count] = text;
    return texts->count++;
}

static void type_put(struct encoder *encoder, unsigned field, const char *type, const char *unit)
{
    struct message part = {.count = 0};
    number_put(&part, 1, text_number(encoder, type));
    number_put(&part, 2, text_number(encoder, unit));
    message_put(&encoder->profile, field, &part);
}

/* Places are numbered from 1 on, in their order. */
static uint64_t place_number(const struct prof *prof, const struct prof_place *place)
{
    size_t low = 0, high = prof->place_count;
    while (high - low > 1) {
        size_t middle = (low + high) / 2;
        if (prof->places[middle]->address <= place->address) {
            low = middle;
        } else {
            high = middle;
        }
    }
    return low + 1;
}

static void sample_put(struct encoder *encoder, const struct prof_stack *stack)
{
    static const enum prof_value order[] = {ALL_OBJECTS, ALL_BYTES, LIVE_OBJECTS, LIVE_BYTES};
    struct message part = {.count = 0}, packed = {.count = 0};
    for (size_t i = 0; i < stack->count; i++) {
        varint_put(&packed, place_number(encoder->prof, stack->places[i]));
    }
    message_put(&part, 1, &packed);
    for (size_t i = 0; i < PROF_VALUES; i++) {
        varint_put(&packed, stack->values[order[i]]);
    }
    message_put(&part, 2, &packed);
    message_put(&encoder->profile, OF_PROFILE_SAMPLE, &part);
}

static void mapping_put(struct encoder *encoder, const struct prof_mapping *mapping)
{
    struct message part = {.count = 0};
    number_put(&part, 1, (uint64_t)(mapping - encoder->prof->mappings) + 1);
    number_put(&part, 2, mapping->start);
    number_put(&part, 3, mapping->end);
    number_put(&part, 4, mapping->offset);
    number_put(&part, 5, text_number(encoder, mapping->path));
    for (unsigned field = 7; field <= 10; field++) {
        number_put(&part, field, 1); /* names, files, lines and inlined functions are there */
    }
    message_put(&encoder->profile, OF_PROFILE_MAPPING, &part);
}

/* A function is known by its name and its file: here by the number of the two joined. */
static uint64_t function_number(struct encoder *encoder, struct texts *functions,
                                const struct prof_frame *frame)
{
    uint64_t name = text_number(encoder, frame->name), file = text_number(encoder, frame->file);
    for (size_t i = 0; i < functions->count; i += 2) {
        if (functions->items[i] == frame->name && functions->items[i + 1] == frame->file) {
            return i / 2 + 1;
        }
    }
    if (functions->count + 2 > functions->room) {
        functions->room = functions->room * 2 + 256;
        const char **grown = heap_table(functions->room, sizeof *grown);
        if (functions->count != 0) {
            memcpy(grown, functions->items, functions->count * sizeof *grown);
        }
        free(functions->items);
        functions->items = grown;
    }
    functions->items[functions->count++] = frame->name;
    functions->items[functions->count++] = frame->file;
    struct message part = {.count = 0};
    number_put(&part, 1, functions->count / 2);
    number_put(&part, 2, name);
    number_put(&part, 3, name);
    number_put(&part, 4, file);
    message_put(&encoder->profile, OF_PROFILE_FUNCTION, &part);
    return functions->count / 2;
}

static void places_put(struct encoder *encoder)
{
    struct texts functions = {.count = 0};
    for (size_t i = 0; i < encoder->prof->place_count; i++) {
        const struct prof_place *place = encoder->prof->places[i];
        struct message part = {.count = 0}, line = {.count = 0};
        number_put(&part, 1, i + 1);
        if (place->mapping != NULL) {
            number_put(&part, 2, (uint64_t)(place->mapping - encoder->prof->mappings) + 1);
        }
        number_put(&part, 3, place->address - 1);
        for (size_t j = 0; j < place->frame_count; j++) {
            number_put(&line, 1, function_number(encoder, &functions, &place->frames[j]));
            number_put(&line, 2, (uint64_t)place->frames[j].line);
            message_put(&part, 4, &line);
        }
        message_put(&encoder->profile, OF_PROFILE_LOCATION, &part);
    }
    free(functions.items);
}

static int compressed_write(const struct message *message, FILE *file)
{
    z_stream stream = {.next_in = message->bytes, .avail_in = (uInt)message->count};
    unsigned char bytes[16384];
    int status;
    if (deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) !=
        Z_OK) {
        return heap_complain(HEAP_FAILED, "zlib", "cannot compress");
    }
    do {
        stream.next_out = bytes;
        stream.avail_out = sizeof bytes;
        status = deflate(&stream, Z_FINISH);
        fwrite(bytes, 1, sizeof bytes - stream.avail_out, file);
    } while (status == Z_OK);
    (void)deflateEnd(&stream);
    return status == Z_STREAM_END ? 0 : heap_complain(HEAP_FAILED, "zlib", "cannot compress");
}

int prof_pprof(const struct prof *prof, FILE *file)
{
    struct encoder encoder = {.prof = prof};
    char comment[160];
    (void)text_number(&encoder, "");
    type_put(&encoder, OF_PROFILE_TYPE, "alloc_objects", "count");
    type_put(&encoder, OF_PROFILE_TYPE, "alloc_space", "bytes");
    type_put(&encoder, OF_PROFILE_TYPE, "inuse_objects", "count");
    type_put(&encoder, OF_PROFILE_TYPE, "inuse_space", "bytes");
    type_put(&encoder, OF_PROFILE_PERIOD_TYPE, "space", "bytes");
    number_put(&encoder.profile, OF_PROFILE_PERIOD, prof->mean_bytes);
    number_put(&encoder.profile, OF_PROFILE_DEFAULT, text_number(&encoder, "inuse_space"));
    snprintf(comment, sizeof comment, "hakmem: %s, process %d", prof->program, prof->process);
    number_put(&encoder.profile, OF_PROFILE_COMMENT, text_number(&encoder, comment));
    for (size_t i = 0; i < prof->stack_count; i++) {
        sample_put(&encoder, &prof->stacks[i]);
    }
    for (size_t i = 0; i < prof->mapping_count; i++) {
        if (prof->mappings[i].runs && prof->mappings[i].path[0] != '\0') {
            mapping_put(&encoder, &prof->mappings[i]);
        }
    }
    places_put(&encoder);
    for (size_t i = 0; i < encoder.texts.count; i++) {
        const char *text = encoder.texts.items[i];
        bytes_put(&encoder.profile, OF_PROFILE_STRING, text, strlen(text));
    }
    int status = compressed_write(&encoder.profile, file);
    free(encoder.texts.items);
    free(encoder.profile.bytes);
    return status;
}
