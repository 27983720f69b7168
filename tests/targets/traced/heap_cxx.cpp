/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* operator new and delete in all their forms, containers, and an exception that flies over frames. */
#include "expect.h"

#include <new>
#include <stdexcept>
#include <vector>

namespace shop {

struct item {
    long number[4];
    virtual ~item() = default;
};
struct alignas(128) wide {
    char bytes[256];
};

static void *volatile kept[100];
static int kept_count;
static void keep(void *block) { kept[kept_count++] = block; }

struct basket {
    SITE static void by_new()
    {
        for (int i = 0; i < 10; i++) {
            item *volatile made = new item;
            if (i % 2)
                delete made;
            else
                keep(made);
        }
    }
    SITE void by_new_array()
    {
        for (int i = 0; i < 4; i++)
            keep(new char[300]);
        delete[] static_cast<char *>(kept[--kept_count]);
    }
};

SITE void by_new_aligned()
{
    for (int i = 0; i < 3; i++)
        keep(new wide);
    delete static_cast<wide *>(kept[--kept_count]);
}

SITE void by_new_nothrow()
{
    volatile size_t huge = static_cast<size_t>(-1) / 4;
    MUST(new (std::nothrow) char[huge] == nullptr);
    keep(new (std::nothrow) char[11]);
}

SITE void thrown(int depth)
{
    volatile int here = depth;
    char *block = new char[500]; /* lost when the exception passes */
    keep(block);
    if (here > 0)
        thrown(here - 1);
    else
        throw std::runtime_error("on purpose");
}

} // namespace shop

int main()
{
    shop::basket basket;
    shop::basket::by_new();
    basket.by_new_array();
    shop::by_new_aligned();
    shop::by_new_nothrow();
    bool caught = false;
    try {
        shop::thrown(6);
    } catch (const std::runtime_error &) {
        caught = true;
    }
    MUST(caught);
    expect("shop::basket::by_new", "heap", 10, 5, 5 * (long)sizeof(shop::item));
    expect("shop::basket::by_new_array", "heap", 4, 1, 900);
    expect("shop::by_new_aligned", "heap", 3, 1, 2 * (long)sizeof(shop::wide));
    expect("shop::by_new_nothrow", "heap", 2, 1, 11); /* the other is the exception that becomes a nullptr */
    /* the exception object is made by the innermost call: not counted in bytes */
    expect("shop::thrown", "heap", 9, 2, 7 * 500);
    return 0;
}
