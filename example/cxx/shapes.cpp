// C++ on hakmem: operator new in all its forms, and a std::pmr container on hakmem's resource.
#include <hakmem_pmr.hpp>

#include <iostream>
#include <map>
#include <memory>
#include <string>
#include <vector>

struct alignas(64) Block {
    double values[8] = {};
};

int main()
{
    std::vector<std::unique_ptr<Block>> blocks;
    for (int i = 0; i < 1000; i++) {
        blocks.push_back(std::make_unique<Block>()); // operator new(size_t, align_val_t)
    }
    bool aligned = true;
    for (const auto &block : blocks) {
        aligned = aligned && reinterpret_cast<std::uintptr_t>(block.get()) % alignof(Block) == 0;
    }

    std::pmr::map<int, std::pmr::string> names(hakmem::resource());
    for (int i = 0; i < 1000; i++) {
        names.emplace(i, "a name that is too long for the small string, number " + std::to_string(i));
    }
    std::cout << blocks.size() << " blocks, " << (aligned ? "" : "not ") << "aligned; "
              << names.size() << " names\n";
}
