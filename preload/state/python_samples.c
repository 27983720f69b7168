/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "state/python_samples.h"

#include "settings.h"

#define SETS     (1u << 18) /* of 1 GiB together */
#define SPACE    12         /* log2 of the bytes of address space of a set: no more than eight blocks of 513 begin there */
#define MEAN     (1u << 14)
#define MEAN_MAX (1u << 26) /* what one of a byte stands for must fit its event */

uint32_t python_samples_due;
_Alignas(SAMPLES_PAGE) uint8_t python_samples_counts[SAMPLES_COUNTS];
double python_samples_mean = MEAN;
__thread struct samples_line python_samples_line;
__thread uint32_t python_samples_resizes;
uint64_t python_samples_pages[PYTHON_SAMPLES_PAGES / 64];

static _Alignas(SAMPLES_PAGE) uint64_t table[SETS][SAMPLES_WAYS];
const struct samples python_samples = {table, SETS, SPACE, python_samples_counts};

uint64_t python_samples_weight(size_t size)
{
    double x = (double)size / python_samples_mean; /* at most 1/32: four terms of 1 - exp(-x) will do */
    double share = x * (1 - x / 2 * (1 - x / 3 * (1 - x / 4)));
    return (uint64_t)(16 / share + 0.5);
}

void python_samples_init(void)
{
    python_samples_mean = MEAN;
    if (settings.sample > MEAN)
        python_samples_mean = settings.sample < MEAN_MAX ? (double)settings.sample : MEAN_MAX;
}

void python_samples_forget(void)
{
    samples_forget(&python_samples);
    samples_line_forget(&python_samples_line);
}
