/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * The verbs, one file each. argv[0] is the verb. Each writes its result to standard output, errors to
 * standard error, and returns the exit status that CLI conventions give it; all of them understand --help.
 */
#ifndef STRAY_COMMANDS_H
#define STRAY_COMMANDS_H

int command_attach(int argc, char **argv);
int command_check(int argc, char **argv);
int command_conns(int argc, char **argv);
int command_detach(int argc, char **argv);
int command_diff(int argc, char **argv);
int command_dump(int argc, char **argv);
int command_export(int argc, char **argv);
int command_help(int argc, char **argv);
int command_hooks(int argc, char **argv);
int command_info(int argc, char **argv);
int command_pack(int argc, char **argv);
int command_report(int argc, char **argv);
int command_run(int argc, char **argv);
int command_sites(int argc, char **argv);
int command_sql(int argc, char **argv);
int command_top(int argc, char **argv);
int command_verify(int argc, char **argv);

#endif
