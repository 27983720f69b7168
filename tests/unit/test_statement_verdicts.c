/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <criterion/criterion.h>

#include "verdicts/statements.h"

static struct statement_judgement judgement;

static enum severity of_loop(uint32_t longest)
{
    struct statement_use use = {.loops = {.longest = longest, .runs = 1}};
    return statement_judge_loop(&use, &judgement) ? judgement.severity : SEVERITY_NONE;
}

Test(statement_verdicts, loops_from_five_on)
{
    cr_expect_eq(of_loop(4), SEVERITY_NONE);
    cr_expect_eq(of_loop(5), SEVERITY_NOTE);
    cr_expect_eq(of_loop(10), SEVERITY_WARNING);
    cr_expect_eq(judgement.verdict, VERDICT_STATEMENT_LOOP);
}

Test(statement_verdicts, results_that_nothing_bounds)
{
    struct statement_use use = {.unbounded = 1};
    cr_expect(statement_judge_result(&use, &judgement));
    use.words.bounded = true;
    cr_expect_not(statement_judge_result(&use, &judgement));
    use = (struct statement_use){.rows = 1000000, .calls = 1000};
    cr_expect_not(statement_judge_result(&use, &judgement), "many small ones");
}

Test(statement_verdicts, texts_and_lists)
{
    struct statement_use use = {.members_most = 999, .length_most = (64 << 10) - 1};
    cr_expect_not(statement_judge_text(&use, &judgement));
    use.members_most = 1000;
    cr_expect(statement_judge_text(&use, &judgement));
    use = (struct statement_use){.length_most = 64 << 10};
    cr_expect(statement_judge_text(&use, &judgement));
}

Test(statement_verdicts, overwrites)
{
    struct statement_use use = {.overwrites = 0};
    cr_expect_not(statement_judge_overwrites(&use, &judgement));
    use.overwrites = 1;
    cr_expect(statement_judge_overwrites(&use, &judgement) && judgement.severity == SEVERITY_NOTE);
    use.overwrites = 5;
    cr_expect(statement_judge_overwrites(&use, &judgement) && judgement.severity == SEVERITY_WARNING);
}

static enum severity of_silence(double longest_s, double run_s)
{
    return statement_judge_idle(longest_s, run_s, &judgement) ? judgement.severity : SEVERITY_NONE;
}

Test(statement_verdicts, silences_weigh_more_the_longer_they_are)
{
    cr_expect_eq(of_silence(0.9, 10), SEVERITY_NONE);
    cr_expect_eq(of_silence(1, 10), SEVERITY_WARNING, "a short run");
    cr_expect_eq(of_silence(1, 3600), SEVERITY_NOTE);
    cr_expect_eq(of_silence(5, 3600), SEVERITY_WARNING);
    cr_expect_eq(of_silence(60, 3600), SEVERITY_ERROR);
}

Test(statement_verdicts, loops_that_are_kept)
{
    cr_expect_not(statement_judge_blocked(0.049, &judgement));
    cr_expect(statement_judge_blocked(0.05, &judgement) && judgement.severity == SEVERITY_WARNING);
    cr_expect(statement_judge_blocked(0.1, &judgement) && judgement.severity == SEVERITY_ERROR);
}

Test(statement_verdicts, names_that_pile_up)
{
    struct statement_prepared prepared = {.abandoned = 10, .left = 11, .connections = 1};
    cr_expect(statement_judge_prepared(&prepared, &judgement) && judgement.verdict == VERDICT_LEAKED);
    cr_expect_eq(judgement.severity, SEVERITY_ERROR);
    prepared.brief = 1;
    cr_expect_not(statement_judge_prepared(&prepared, &judgement), "as many connections were soon closed");
    prepared = (struct statement_prepared){.abandoned = 9, .left = 10, .connections = 1};
    cr_expect_not(statement_judge_prepared(&prepared, &judgement));
    prepared = (struct statement_prepared){.abandoned = 20, .left = 40, .connections = 1};
    cr_expect_not(statement_judge_prepared(&prepared, &judgement), "half of them are used again");
}

Test(statement_verdicts, results_that_are_held)
{
    struct statement_use use = {.outlived = 0};
    cr_expect_not(statement_judge_held(&use, 0, &judgement));
    cr_expect(statement_judge_held(&use, 12, &judgement) && judgement.severity == SEVERITY_NOTE);
    use.outlived = 2;
    cr_expect(statement_judge_held(&use, 0, &judgement) && judgement.severity == SEVERITY_WARNING);
    cr_expect_eq(judgement.verdict, VERDICT_HELD_RESULT);
}
