#!/usr/bin/perl
# SPDX-License-Identifier: LGPL-2.1-or-later
# DBD::Pg: known numbers of statements, then connections that are closed, or kept until the process is killed.
#     sends.pl leaks|closes ROUNDS
use strict;
use warnings;
use DBI;

my ($mode, $rounds) = @ARGV;
my @kept;

sub opens { return DBI->connect("dbi:Pg:", undef, undef, {RaiseError => 1, PrintError => 0, AutoCommit => 1}); }

sub asks { return $_[0]->selectall_arrayref("SELECT n FROM generate_series(1, 3) n"); }

sub executes {
    my ($statement, $n) = @_;
    $statement->execute($n, $n + 1);
    return $statement->fetchall_arrayref();
}

sub fails { return eval { $_[0]->do("SELECT missing"); 1 }; }

my $database = opens();
asks($database) for 1 .. 4;
my $statement = $database->prepare("SELECT n FROM generate_series(?::int, ?::int) n WHERE n > 0");
executes($statement, $_) for 1 .. 6;
die "no error" if fails($database);
$statement->finish();
undef $statement;
$database->disconnect();

for (1 .. $rounds) {
    my $one = opens();
    $one->do("SELECT 1");
    if ($mode eq "leaks") { push @kept, $one; } else { $one->disconnect(); }
}
kill "KILL", $$; # at an end of its own it would close them all
