# SPDX-License-Identifier: LGPL-2.1-or-later
# words.pl TIMES: counts words and where they were last seen, as scripts over log files do.
use strict;
use warnings;

my (%seen, $state);
$state = 1;
for my $i (1 .. shift) {
    $state = ($state * 1103515245 + 12345) % 2147483648;
    for my $word (map { "word" . ($state >> $_) % 5000 } 1 .. 6) {
        $seen{$word}{count}++;
        push @{ $seen{$word}{last} }, $i;
        shift @{ $seen{$word}{last} } if @{ $seen{$word}{last} } > 5;
    }
}
my @often = sort { $seen{$b}{count} <=> $seen{$a}{count} || $a cmp $b } keys %seen;
print scalar(@often), " ", join(",", @often[0 .. 4]), "\n";
