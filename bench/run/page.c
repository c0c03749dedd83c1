/*
 * page.c: the report as one HTML page that needs nothing else, for readers who need not read code.
 *
 * The answer comes first, then one plot a question, then the figures and how they came about.
 * Nothing in it is run or loaded: styles and pictures stand in the page.
 */
#include <errno.h>
#include <string.h>

#include "page.h"

static const char page_style[] =
    ":root{color-scheme:light dark;--ink:#1b1b1b;--paper:#fff;--quiet:#555;--line:#c9c9c9;"
    "--stripe:#f4f4f4;--link:#0050a0;--bad:#a00000;--warn:#fff3cd;--warn-line:#b58900}\n"
    "@media (prefers-color-scheme:dark){:root{--ink:#e6e6e6;--paper:#17191c;--quiet:#a8a8a8;"
    "--line:#4a4d52;--stripe:#202327;--link:#8ab8ff;--bad:#ff9a8f;--warn:#3d3414;"
    "--warn-line:#c9a227}}\n"
    "*{box-sizing:border-box}\n"
    "body{font:16px/1.55 system-ui,sans-serif;color:var(--ink);background:var(--paper);"
    "max-width:1100px;margin:0 auto;padding:1.5rem 1rem 4rem}\n"
    "h1{font-size:1.9rem;line-height:1.2;margin:0 0 .5rem}\n"
    "h2{font-size:1.4rem;line-height:1.25;margin:2.5rem 0 .5rem;padding-top:.75rem;"
    "border-top:1px solid var(--line)}\n"
    "h3{font-size:1.1rem;margin:1.75rem 0 .4rem}\n"
    "p,li,dd{max-width:75ch;overflow-wrap:anywhere}\n"
    "p{margin:.6rem 0}a{color:var(--link)}\n"
    "p.verdict{font-size:1.12rem}\n"
    "p.warning{background:var(--warn);border-left:5px solid var(--warn-line);padding:.6rem .9rem}\n"
    "p.missing{color:#6b1d00;background:#fff;margin:0;padding:1rem}\n"
    "figure{margin:1rem 0}\n"
    /* Pictures are drawn for a light ground. */
    ".plot{background:#fff;color:#000;border:1px solid var(--line);border-radius:6px;padding:.5rem;"
    "max-width:740px}\n"
    ".plot svg{display:block;width:100%;height:auto}\n"
    ".scroll{overflow-x:auto;margin:1rem 0 1.75rem}\n"
    "table{border-collapse:collapse;font-size:.92rem;font-variant-numeric:tabular-nums}\n"
    "caption{text-align:left;font-weight:600;padding-bottom:.4rem;max-width:min(75ch,100vw - "
    "2rem)}\n"
    "th,td{padding:.3rem .7rem;text-align:right;border-bottom:1px solid var(--line);"
    "white-space:nowrap;vertical-align:top}\n"
    "thead th{vertical-align:bottom;border-bottom:2px solid var(--line)}\n"
    "th:first-child,td.text,td.short,th.text{text-align:left}\n"
    "td.text,td.failed,th.text{white-space:normal}\n"
    "td.text,tbody th.text{min-width:13rem;max-width:26rem}\n"
    "td.failed{color:var(--bad);text-align:left;font-size:.85em;min-width:19rem;max-width:30rem}\n"
    "tbody tr:nth-child(even){background:var(--stripe)}\n"
    "dl{display:grid;grid-template-columns:max-content 1fr;gap:.25rem 1rem}\n"
    "dt{font-weight:600}dd{margin:0}code{font-size:.9em;color:var(--quiet)}\n"
    "@media (max-width:600px){dl{display:block}dd{margin:0 0 .6rem}h1{font-size:1.5rem}"
    "th,td{padding:.3rem .45rem}.plot{padding:.25rem}}\n"
    "@media print{:root{--ink:#000;--paper:#fff;--quiet:#333;--line:#999;--stripe:#fff;--bad:#800;"
    "--warn:#fff}body{max-width:none;padding:0;font-size:10.5pt}figure,tr{break-inside:avoid}"
    "h2,h3,caption,.answer{break-after:avoid}.scroll,.plot{overflow:visible}table{font-size:8.5pt}"
    "th,td{padding:.15rem .35rem;white-space:normal}}\n";

static void head_put(const struct page *page, const char *title)
{
    page_put(page, "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
                   "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n");
    page_put(page,
             "<link rel=\"icon\" href=\"data:,\">\n<title>%s</title>\n<style>\n%s</style>\n"
             "</head>\n<body>\n<main>\n<h1>%s</h1>\n",
             title, page_style, title);
}

static void introduction_put(const struct page *page)
{
    page_put(page, "<p>");
    page_say(page, "Programs ask an allocator for pieces of memory (malloc) and give them back "
                   "(free). hakmem is such an allocator. ");
    if (page->s->options.ab)
        page_say(page,
                 "Many allocators keep a few bytes beside each piece to know later what it "
                 "is, a header; hakmem does without. This page reports what that is worth: it "
                 "compares hakmem with its own header mode, and with glibc, the allocator that "
                 "Linux programs use if nothing else is chosen.");
    else
        page_say(page, "This page compares it with others: how fast they are, and how much memory "
                       "they need.");
    page_put(page, "</p>\n");
}

static bool any_interval(const struct page *page)
{
    for (unsigned v = 0; page->hakmem >= 0 && v < page->s->variant_count; v++) {
        struct change_mean mean =
            change_mean_of(page->s, page->hakmem, (int)v, time_kinds[0].metric);
        if ((int)v != page->hakmem && mean_has_interval(&mean))
            return true;
    }
    return false;
}

bool page_write(const struct comparison *s, const char *path)
{
    struct page page = {
        .s = s,
        .file = fopen(path, "we"),
        .hakmem = variant_of_kind(s, VARIANT_HAKMEM),
        .header = variant_index(s, "hakmem-header"),
        .again = variant_index(s, "hakmem-again"),
        .glibc = variant_of_kind(s, VARIANT_GLIBC),
    };
    if (page.file == NULL) {
        fprintf(stderr, "bench_runner: %s: %s\n", path, strerror(errno));
        return false;
    }
    machine_describe(&page.machine);
    page.intervals = any_interval(&page);
    head_put(&page, s->options.ab ? "hakmem with and without a header" : "hakmem against others");
    introduction_put(&page);
    page_verdict(&page);
    page_questions(&page);
    page_tables(&page);
    page_method(&page);
    page_put(&page, "</main>\n</body>\n</html>\n");
    bool failed = ferror(page.file) != 0;
    if (fclose(page.file) == 0 && !failed)
        return true;
    fprintf(stderr, "bench_runner: %s: %s\n", path, strerror(errno));
    return false;
}
