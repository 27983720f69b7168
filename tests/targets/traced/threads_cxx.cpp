// SPDX-License-Identifier: LGPL-2.1-or-later
// threads_cxx joined|detached|escapes: threads of the C++ library; the last mode ends by an exception that no one catches.
#include "expect.h"

#include <cstring>
#include <stdexcept>
#include <thread>

#define MANY 40

static SITE void *in_thread()
{
    void *volatile made = malloc(100);
    return made;
}

static SITE std::thread by_std(void (*work)())
{
    return std::thread(work);
}

static void catches()
{
    in_thread();
    try {
        throw std::runtime_error("inside");
    } catch (const std::exception &) {
    }
}

static void throws()
{
    in_thread();
    throw std::runtime_error("nobody waits for me");
}

int main(int argc, char **argv)
{
    const char *how = argc > 1 ? argv[1] : "";
    if (strcmp(how, "escapes") == 0) {
        expect("by_std", "thread", 1, 0, -1);
        expect("in_thread", "heap", 1, 0, 100);
        by_std(throws).join();
    }
    for (int i = 0; i < MANY; i++) {
        std::thread thread = by_std(catches);
        if (strcmp(how, "joined") == 0)
            thread.join();
        else
            thread.detach();
    }
    usleep(100000); // the detached ones come to their ends
    expect("by_std", "thread", MANY, MANY, -1);
    expect("in_thread", "heap", MANY, 0, 100 * MANY);
    return 0;
}
