/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The C++ counterpart of named.c. */
#include "named.h"

#define EXPORT            __attribute__((visibility("default")))
#define NOT_A_TAIL_CALL() __asm__ volatile("" ::: "memory")

static __attribute__((noinline)) void *here()
{
    NOT_A_TAIL_CALL();
    return __builtin_return_address(0);
}

namespace shop
{
class Basket
{
  public:
    /* Inlined: its debug information carries no linkage name. */
    __attribute__((always_inline)) explicit Basket(spot *place)
    {
        place->line[0] = __LINE__, place->address = here();
    }
    __attribute__((noinline)) void add(spot *place, int count);
    int goods = 0;
};

void Basket::add(spot *place, int count)
{
    place->line[0] = __LINE__, place->address = here();
    goods += count;
}

template <typename T> __attribute__((noinline)) T twice(spot *place, T value)
{
    place->line[0] = __LINE__, place->address = here();
    return value * 2;
}

namespace
{
__attribute__((noinline)) void secret(spot *place)
{
    place->line[0] = __LINE__, place->address = here();
    NOT_A_TAIL_CALL();
}
} // namespace
} // namespace shop

EXPORT void in_method(spot *place)
{
    spot unused;
    shop::Basket(&unused).add(place, place->line[0]);
    NOT_A_TAIL_CALL();
}

EXPORT void in_template(spot *place)
{
    place->line[1] = shop::twice<int>(place, place->line[0]);
}

EXPORT void in_constructor(spot *place)
{
    place->line[1] = __LINE__, shop::Basket{place};
    NOT_A_TAIL_CALL();
}

/* A class that stands in a block of a function, which the name has to say. */
EXPORT void in_local_class(spot *place)
{
    for (int i = 0; i < 1; i++) {
        struct Till {
            __attribute__((always_inline)) explicit Till(spot *at)
            {
                at->line[0] = __LINE__, at->address = here();
            }
        };
        place->line[1] = __LINE__, Till{place};
        NOT_A_TAIL_CALL();
    }
}

EXPORT void in_anonymous(spot *place)
{
    shop::secret(place);
    NOT_A_TAIL_CALL();
}
