// SPDX-License-Identifier: LGPL-2.1-or-later
// Containers of strings that grow and shrink, as most C++ programs have them. Also the large file that the compiler is
// measured on.
#include <algorithm>
#include <functional>
#include <iostream>
#include <map>
#include <memory>
#include <regex>
#include <set>
#include <string>
#include <unordered_map>
#include <vector>

int main(int argc, char **argv)
{
    int rounds = argc > 1 ? std::stoi(argv[1]) : 400000;
    std::map<std::string, std::vector<int>> by_name;
    std::unordered_map<int, std::shared_ptr<std::string>> shared;
    std::set<std::string> names;
    std::regex pattern("a*(b|c)+x?");
    size_t matched = 0;
    for (int i = 0; i < rounds; i++) {
        by_name[std::to_string(i % 5000) + std::string(20, 'n')].push_back(i);
        shared[i % 3000] = std::make_shared<std::string>(40, 'a' + i % 26);
        names.insert(std::string(30, 'a' + i % 26) + std::to_string(i % 3000));
        if (i % 5 == 0)
            names.erase(names.begin());
        if (i % 100 == 0)
            matched += std::regex_match("aab" + std::to_string(i), pattern);
    }
    std::cout << by_name.size() + shared.size() + names.size() + matched << std::endl;
}
