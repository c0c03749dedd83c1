/*
 * page.h: what the parts of the report page share.
 *
 * Owner: page_write() holds one struct page while it writes. One thread.
 *
 * page_put() writes markup, page_say() text: names and reasons come from outside and go through
 * page_say() or page_text() only.
 */
#ifndef HAK_BENCH_PAGE_H
#define HAK_BENCH_PAGE_H

#include "change.h"

enum { FEW_SAMPLES = 6 };

struct page {
    const struct comparison *s;
    FILE *file;
    struct machine machine;
    int hakmem, header, again, glibc; /* variants; -1: not in this run */
    bool intervals;                   /* some were computed */
};

/* What a bench's time is, by kind of bench; the first serves those that no flag tells. */
struct time_kind {
    enum metric metric;
    unsigned flag;
    const char *benches; /* what such rows are called */
    const char *unit;
};
extern const struct time_kind time_kinds[];
extern const unsigned time_kind_count;

/* ---- page_words.c ---- */
__attribute__((format(printf, 2, 3))) void page_put(const struct page *page, const char *format,
                                                    ...);
__attribute__((format(printf, 2, 3))) void page_say(const struct page *page, const char *format,
                                                    ...);
void page_text(const struct page *page, const char *text);
/* "3.4 % faster than NAME"; "needs 2.0 % less memory than NAME". ratio as in struct change. */
void page_say_speed(const struct page *page, double ratio, const char *name);
void page_say_memory(const struct page *page, double ratio, const char *name);
/* One sentence each; unknown ones get their name. */
const char *variant_words(const struct variant *variant);
const char *program_words(const struct row *row);

/* Whether any bench is of that kind. */
bool time_kind_occurs(const struct comparison *s, const struct time_kind *kind);
const struct time_kind *row_time_kind(const struct comparison *s, unsigned row);
enum metric row_time_metric(const struct comparison *s, unsigned row);
const char *row_name(const struct page *page, unsigned row);
const char *variant_name(const struct page *page, int variant);
bool variant_is_factor(const struct page *page, unsigned variant);
bool mean_is_known(const struct change_mean *mean);
bool mean_has_interval(const struct change_mean *mean);

/* ---- the sections, in their order ---- */
void page_verdict(const struct page *page);   /* page_verdict.c */
void page_questions(const struct page *page); /* page_questions.c */
void page_tables(const struct page *page);    /* page_tables.c */
void page_method(const struct page *page);    /* page_method.c */

#endif
