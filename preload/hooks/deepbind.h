/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Objects that were loaded with RTLD_DEEPBIND find libc and libpq before us. Their references are turned to the hooks
 * afterwards, wherever they would have reached exactly the function that the hook stands for. Not signal safe.
 */
#ifndef STRAY_PRELOAD_HOOKS_DEEPBIND_H
#define STRAY_PRELOAD_HOOKS_DEEPBIND_H

/* An object is about to be loaded so: what is there already is as it should be. */
void deepbind_begin(void);
/* Turns the references of what came since. Costs nothing where nothing was ever loaded so. */
void deepbind_patch(void);
/* Some object was unloaded: another may come to its place. */
void deepbind_forget(void);

#endif
