/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "verdicts/sharing.h"

enum severity sharing_judge(const struct sharing *sharing)
{
    if (sharing->users >= 2)
        return SEVERITY_ERROR;
    return sharing->users == 1 && !sharing->by_opener && sharing->held ? SEVERITY_WARNING : SEVERITY_NONE;
}
