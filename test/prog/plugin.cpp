/*
 * A library that is opened and closed again while threads use it: static objects, objects with
 * thread storage, and where it is linked with the allocator, that one's own names.
 */
#include <map>
#include <string>
#include <vector>

#include <cstddef>
#include <cstdlib>
#include <cstring>

extern "C" {
void *hak_malloc(size_t size) __attribute__((weak));
void hak_free(void *block) __attribute__((weak));
int hak_malloc_trim(size_t pad) __attribute__((weak));
void plugin_use(unsigned seed);
void plugin_trim(void);
}

struct Table {
    std::map<unsigned, std::string> words;
    Table()
    {
        for (unsigned i = 0; i < 200; i++)
            words[i] = std::string(i * 5, 'w');
    }
    ~Table()
    {
        words[1000] = "the end";
    }
};

static Table table;

static void use_own_names(unsigned seed)
{
    if (hak_malloc == nullptr || hak_free == nullptr)
        return;
    for (size_t bytes = 1 + seed; bytes < 3000000; bytes *= 3) {
        char *block = static_cast<char *>(hak_malloc(bytes));
        if (block == nullptr)
            abort();
        memset(block, 1, bytes);
        hak_free(block);
    }
}

extern "C" void plugin_use(unsigned seed)
{
    static thread_local std::vector<std::string> mine;
    for (unsigned i = 0; i < 50; i++)
        mine.push_back(std::string((seed * 13 + i * 97) % 5000, 'm'));
    if (table.words.at(seed % 200).size() != seed % 200 * 5)
        abort();
    if (seed % 2 != 0)
        mine.clear();
    use_own_names(seed);
}

extern "C" void plugin_trim(void)
{
    if (hak_malloc_trim != nullptr)
        hak_malloc_trim(0);
}
