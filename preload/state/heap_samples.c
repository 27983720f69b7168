/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "state/heap_samples.h"

#include "record/defs.h"
#include "settings.h"
#include "sys.h"
#include "text.h"

__thread struct samples_line heap_samples_line;
_Alignas(SAMPLES_PAGE) uint8_t heap_samples_counts[SAMPLES_COUNTS];
double heap_samples_mean;
struct samples heap_samples = {.counts = heap_samples_counts};

void heap_samples_init(void)
{
    if (settings.sample == 0)
        return;
    heap_samples_mean = (double)settings.sample;
    if (!heap_samples.sets)
        heap_samples.sets = sys_memory(SAMPLES_ROOM * sizeof(*heap_samples.sets));
}

void heap_samples_define(void)
{
    char number[24];
    struct text text = TEXT(number);
    if (settings.sample == 0)
        return;
    text_number(&text, settings.sample);
    defs_string(STRAY_DEF_SAMPLED, number);
}

void heap_samples_forget(void)
{
    if (settings.sample == 0)
        return;
    samples_forget(&heap_samples);
    samples_line_forget(&heap_samples_line);
}
