/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Filters of system calls that the program sets up for itself. One that harms whoever makes a call that the tracer needs
 * (syscalls.def) ends the recording, before it is in force: everything is written out, and no system call is made any more,
 * here, in forked children, and in what they execute. Called before the real call; errno may change. Any thread.
 */
#ifndef STRAY_PRELOAD_SANDBOX_H
#define STRAY_PRELOAD_SANDBOX_H

/* `program`: a struct sock_fprog of the traced program's, or whatever it passed. */
void sandbox_filter(unsigned flags, const void *program);
/* Of all system calls only four are left. */
void sandbox_strict(void);
/* The calling thread's system calls become signals, as the program wishes (wine); what it passed to prctl(). */
void sandbox_dispatch(long mode, long offset, long length, long selector);

#endif
