/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Verdicts on what is sent to a database, and on what it keeps waiting. Pure functions from the figures of one place to a
 * judgement; no trace, no clock, no names. Each returns false where there is nothing to say.
 */
#ifndef STRAY_VERDICTS_STATEMENTS_H
#define STRAY_VERDICTS_STATEMENTS_H

#include <stdbool.h>

#include "lives/statements.h"
#include "verdicts/verdict.h"

struct statement_judgement {
    enum verdict verdict;
    enum severity severity;
    enum confidence confidence;
};

/* The same statement over and over, where one could do. */
bool statement_judge_loop(const struct statement_use *use, struct statement_judgement *ret_judgement);
/* Results that are as large as the table is. */
bool statement_judge_result(const struct statement_use *use, struct statement_judgement *ret_judgement);
/* Texts that are as large as the data are. */
bool statement_judge_text(const struct statement_use *use, struct statement_judgement *ret_judgement);
/* Large results that nobody needs any more: `longest_s` is how long one was kept after its thread had gone on. */
bool statement_judge_held(const struct statement_use *use, double longest_s, struct statement_judgement *ret_judgement);
/* Ever new names for one text. */
bool statement_judge_prepared(const struct statement_prepared *prepared, struct statement_judgement *ret_judgement);
/* What was read without a lock and is written back. */
bool statement_judge_overwrites(const struct statement_use *use, struct statement_judgement *ret_judgement);
/* Transactions left idle for `longest_s`, in a process that ran for `run_s`. */
bool statement_judge_idle(double longest_s, double run_s, struct statement_judgement *ret_judgement);
/* A call that kept an event loop for `longest_s`. */
bool statement_judge_blocked(double longest_s, struct statement_judgement *ret_judgement);

#endif
