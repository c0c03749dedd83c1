/*
 * Threads that allocate at their very end, in C++: objects with thread storage, destructors of
 * pthread keys in every round, one that is the thread's first use of malloc, and threads that are
 * cancelled. Memory is the same after 500 such threads and after 5000.
 *
 * Prints "flat" and ends with 0, or says what grew and ends with 1.
 */
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

#include <limits.h>
#include <malloc.h>
#include <pthread.h>
#include <unistd.h>

static const unsigned threads_at_once = 10;

static pthread_key_t keys[3];

/* What a destructor does: allocates, and frees all of it. */
static void use_some(unsigned seed)
{
    std::map<unsigned, std::string> words;
    for (unsigned i = 0; i < 20; i++)
        words[seed * 7 + i] = std::string((seed + i) * 37 % 3000 + 1, 'x');
    std::vector<char> large(80000 + seed % 7 * 50000, 'y');
    if (words.size() != 20 || large.back() != 'y')
        abort();
}

struct Diary {
    std::vector<std::string> lines;
    unsigned seed = 0;
    ~Diary()
    {
        lines.push_back("the end");
        use_some(seed);
    }
};

static thread_local Diary diary;
static thread_local unsigned rounds[3];

/* Values are counted down; 1 does its work in this round and comes back until the last one. */
static void key_destroy(void *value)
{
    uintptr_t left = reinterpret_cast<uintptr_t>(value);
    for (unsigned i = 0; i < 3; i++) {
        if (pthread_getspecific(keys[i]) == nullptr && ++rounds[i] < PTHREAD_DESTRUCTOR_ITERATIONS) {
            pthread_setspecific(keys[i], reinterpret_cast<void *>(left > 1 ? left - 1 : 1));
            break;
        }
    }
    if (left <= 1)
        use_some(rounds[0]);
}

static void *run(void *argument)
{
    unsigned seed = static_cast<unsigned>(reinterpret_cast<uintptr_t>(argument));
    /* From which round on the destructor allocates: the last is the first use of some threads. */
    uintptr_t first = 1 + seed / 4 % PTHREAD_DESTRUCTOR_ITERATIONS;
    if (seed % 4 != 0)
        pthread_setspecific(keys[seed % 3], reinterpret_cast<void *>(first));
    if (seed % 4 < 2) {
        diary.seed = seed;
        for (unsigned i = 0; i < 50; i++)
            diary.lines.push_back(std::string(i * 10, 'z'));
    }
    if (seed % 16 == 0) {
        pthread_testcancel();
        for (;;)
            pause();
    }
    return nullptr;
}

static void run_threads(unsigned count)
{
    for (unsigned done = 0; done < count; done += threads_at_once) {
        pthread_t threads[threads_at_once];
        for (unsigned i = 0; i < threads_at_once; i++) {
            uintptr_t seed = done + i;
            if (pthread_create(&threads[i], nullptr, run, reinterpret_cast<void *>(seed)) != 0)
                exit(2);
        }
        for (unsigned i = 0; i < threads_at_once; i++) {
            if ((done + i) % 16 == 0)
                pthread_cancel(threads[i]);
            pthread_join(threads[i], nullptr);
        }
    }
}

struct Memory {
    size_t used_bytes;
    long resident_pages;
};

static Memory memory_now()
{
    Memory memory = {0, 0};
    malloc_trim(0);
    memory.used_bytes = mallinfo2().uordblks;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file == nullptr || fscanf(file, "%*s %ld", &memory.resident_pages) != 1)
        exit(2);
    fclose(file);
    return memory;
}

int main()
{
    for (unsigned i = 0; i < 3; i++) {
        if (pthread_key_create(&keys[i], key_destroy) != 0)
            return 2;
    }
    run_threads(500);
    Memory first = memory_now();
    run_threads(4500);
    Memory last = memory_now();
    if (last.used_bytes > first.used_bytes + 64 * 1024 ||
        last.resident_pages > first.resident_pages + 512) {
        fprintf(stderr, "late_exit: %zu bytes used after 500 threads, %zu after 5000; %ld pages, %ld\n",
                first.used_bytes, last.used_bytes, first.resident_pages, last.resident_pages);
        return 1;
    }
    puts("flat");
    return 0;
}
