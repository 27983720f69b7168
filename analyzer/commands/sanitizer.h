/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Programs that were built with a sanitizer, whose runtime and a tracer's hooks are in each other's way. */
#ifndef STRAY_COMMANDS_SANITIZER_H
#define STRAY_COMMANDS_SANITIZER_H

/* The name of the one that the ELF file `fd` was built with; NULL: none, or it cannot be told. The descriptor's offset may change. */
const char *sanitizer_of(int fd);

#endif
