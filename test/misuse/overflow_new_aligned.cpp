/*
 * One byte is written behind a block of aligned operator new.
 *
 * default: none
 * hardened: SIGABRT hakmem: write past the end of a block
 * hardened whole: SIGSEGV
 */
#include <cstdlib>
#include <new>

int main(int, char **argv)
{
    std::size_t size = std::strtoul(argv[1], nullptr, 10);
    void *block = ::operator new(size, std::align_val_t(512));
    asm volatile("" : "+r"(block) : : "memory");
    static_cast<char *>(block)[size] = 'x';
    ::operator delete(block, std::align_val_t(512));
    return 0;
}
