/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* Functions that do nothing, in a library: what a call of one costs under --pair is the tracer's. */
void *own_open(void);
void own_close(void *handle);
void *own_fail(void); /* NULL, which is no event */
