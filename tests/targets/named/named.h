/* SPDX-License-Identifier: LGPL-2.1-or-later */
#ifndef STRAY_TESTS_NAMED_H
#define STRAY_TESTS_NAMED_H

/* A place in the code, as the code itself sees it. */
struct spot {
    void *address;  /* a return address */
    void *function; /* start of the function it lies in, not counting inlined ones */
    int line[3];    /* of the calls that lead there, innermost first */
};

#ifdef __cplusplus
extern "C" {
#endif
void outermost(struct spot *spot);
void call_hidden(struct spot *spot);
void in_method(struct spot *spot);
void in_template(struct spot *spot);
void in_constructor(struct spot *spot);
void in_local_class(struct spot *spot);
void in_anonymous(struct spot *spot);
#ifdef __cplusplus
}
#endif

#endif
