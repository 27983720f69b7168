/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * A stream that remembers why it could not be written. stdio tells only that it could not, and by the time it is asked errno is
 * another call's.
 *
 * Ownership: closing it frees the stream and closes the descriptor. The struct must stay where it is until then. Not thread safe.
 */
#ifndef STRAY_OUTFILE_H
#define STRAY_OUTFILE_H

#include <stdio.h>

struct outfile {
    FILE *stream;
    int fd, error; /* errno of the first write that failed; 0: none did */
};

/* Takes `fd` over, also when it fails, as for a negative one, when errno says why. Negative errno. */
int outfile_open(struct outfile *file, int fd);
/* Writes what is left. The negative errno of the first failure. */
int outfile_close(struct outfile *file);

#endif
