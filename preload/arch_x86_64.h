/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Numbers that assembly code shares with C, where they are asserted (hooks/given.c). */
#ifndef STRAY_PRELOAD_ARCH_X86_64_H
#define STRAY_PRELOAD_ARCH_X86_64_H

#define GIVEN_MAX          1024
#define GIVEN_STUB_SIZE    16
#define GIVEN_SHIFT        5  /* log2(sizeof(struct given)) */
#define GIVEN_CALL         8  /* offsetof(struct given, call) */
#define THREAD_LIBPQ_GIVEN 56 /* offsetof(struct thread, libpq_given) */

#endif
