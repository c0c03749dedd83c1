/* Entries of one size, taken and given back in line: a queue on hakmem_inline.h. */
#include <hakmem_inline.h>
#include <stdio.h>

struct entry {
    struct entry *next;
    long value;
};

struct queue {
    struct entry *first, **last;
};

static int queue_push(struct queue *queue, long value)
{
    struct entry *entry = hak_inline_malloc(sizeof *entry); /* no call, but for a refill */
    if (entry == NULL)
        return 0;
    *entry = (struct entry){NULL, value};
    *queue->last = entry;
    queue->last = &entry->next;
    return 1;
}

static long queue_pop(struct queue *queue)
{
    struct entry *entry = queue->first;
    long value = entry->value;
    queue->first = entry->next;
    if (queue->first == NULL)
        queue->last = &queue->first;
    hak_inline_free_sized(entry, sizeof *entry);
    return value;
}

int main(void)
{
    struct queue queue = {NULL, &queue.first};
    long sum = 0;
    for (long i = 1; i <= 100000; i++) {
        if (!queue_push(&queue, i) || !queue_push(&queue, i)) {
            perror("queue");
            return 1;
        }
        sum += queue_pop(&queue);
    }
    while (queue.first != NULL)
        sum += queue_pop(&queue);
    printf("sum of 200000 entries: %ld\n", sum);
    return 0;
}
