# Prints a C++17 program of several thousand lines that instantiates many templates; the tests of
# the compilers compile it.   awk -v blocks=N -f templates.awk
BEGIN {
    print "#include <algorithm>\n#include <array>\n#include <cstdint>\n#include <cstdio>\n#include <deque>"
    print "#include <functional>\n#include <map>\n#include <memory>\n#include <numeric>\n#include <set>"
    print "#include <string>\n#include <tuple>\n#include <unordered_map>\n#include <utility>\n#include <variant>"
    print "#include <vector>\n"
    print "template <int N> struct chain {"
    print "    static constexpr std::uint64_t value = chain<N - 1>::value * 31 + N;"
    print "};"
    print "template <> struct chain<0> {"
    print "    static constexpr std::uint64_t value = 7;"
    print "};"
    for (i = 1; i <= blocks; i++)
        block(i)
    print "int main()\n{\n    std::uint64_t sum = 0;"
    for (i = 1; i <= blocks; i++)
        printf "    sum = sum * 1099511628211u + block_%d::run(%d);\n", i, i
    print "    std::printf(\"%016llx\\n\", static_cast<unsigned long long>(sum));\n}"
}

function block(i,    members, k)
{
    members = i % 5 + 2
    printf "\nnamespace block_%d {\n", i
    print "template <typename... Fields> struct record {\n    std::tuple<Fields...> fields;"
    print "    template <std::size_t... Index>"
    print "    std::uint64_t digest(std::index_sequence<Index...>) const\n    {"
    print "        std::uint64_t sum = 0;"
    print "        ((sum = sum * 33 + std::hash<Fields>{}(std::get<Index>(fields))), ...);"
    print "        return sum;\n    }"
    print "    std::uint64_t digest() const { return digest(std::index_sequence_for<Fields...>{}); }\n};"
    for (k = 0; k < members; k++) {
        printf "struct shape_%d {\n    std::array<std::uint32_t, %d> cells{};\n", k, k + i % 7 + 1
        print "    std::uint64_t area(std::uint32_t seed)\n    {"
        print "        std::uint32_t state = seed;"
        printf "        for (auto &cell : cells)\n            cell = state = state * 1664525u + %du;\n", i * 10 + k
        print "        return std::accumulate(cells.begin(), cells.end(), std::uint64_t{0});\n    }\n};"
    }
    printf "using any_shape = std::variant<"
    for (k = 0; k < members; k++)
        printf "%sshape_%d", k ? ", " : "", k
    print ">;"
    print "template <typename Key, typename Value> std::uint64_t tally(std::map<Key, Value> &table)\n{"
    print "    std::uint64_t sum = 0;"
    print "    for (auto &[key, value] : table)"
    printf "        sum = sum * %du + static_cast<std::uint64_t>(key) + static_cast<std::uint64_t>(value);\n", 2 * i + 1
    print "    return sum;\n}"
    print "inline std::uint64_t run(std::uint32_t seed)\n{"
    printf "    std::uint64_t sum = chain<%d>::value;\n", i * 3 % 400 + 1
    printf "    std::map<std::uint%d_t, std::int%d_t> table;\n", 16 * 2 ^ (i % 3), 16 * 2 ^ (int(i / 3) % 3)
    print "    std::vector<any_shape> shapes;"
    for (k = 0; k < members; k++)
        printf "    shapes.emplace_back(shape_%d{});\n", k
    print "    for (auto &shape : shapes) {"
    print "        auto area = std::visit([&](auto &one) { return one.area(seed); }, shape);"
    print "        table[area % 251] += area % 127;\n        sum ^= area;\n    }"
    print "    sum += tally(table);"
    printf "    record<std::uint32_t, std::uint64_t, std::uint%d_t> one{{seed, sum, static_cast<std::uint%d_t>(seed)}};\n", 8 * 2 ^ (i % 4), 8 * 2 ^ (i % 4)
    print "    sum ^= one.digest();"
    printf "    std::function<std::uint64_t(std::uint64_t)> twist = [seed](std::uint64_t x) { return x * %du + seed; };\n", 6 * i + 5
    print "    std::vector<std::pair<std::string, std::uint64_t>> names;"
    printf "    for (int n = 0; n < %d; n++)\n", i % 9 + 3
    print "        names.emplace_back(std::string(static_cast<std::size_t>(n), 'x') + std::to_string(n), twist(sum + n));"
    print "    std::sort(names.begin(), names.end(), [](auto &a, auto &b) { return a.second % 1000 < b.second % 1000; });"
    print "    for (auto &[name, number] : names)"
    print "        sum = sum * 131 + name.size() + number;"
    print "    return sum;\n}"
    printf "} // namespace block_%d\n", i
}
