#!/bin/bash
# ctest: labels=real timeout=240
#
# perl: strings, hashes, sorting, regular expressions, interpreter threads and forks.
# shellcheck source-path=SCRIPTDIR source=common.bash
source "$(dirname "$0")/common.bash"
needs perl-base perl
perl -Mthreads -MThread::Queue -MDigest::MD5 -e 1 2>/dev/null || absent perl "perl's threads module"

cat >"$work/script.pl" <<'SCRIPT'
use strict;
use warnings;
use threads;
use Thread::Queue;
use Digest::MD5 qw(md5_hex);

sub words {
    my ($state, $count) = @_;
    my %seen;
    for my $i (1 .. $count) {
        $state = $state * 16807 % 2147483647;
        my $word = join '-', map { chr(97 + ($state >> $_) % 26) x (1 + $_) } 0 .. $state % 6;
        $seen{$word}{count}++;
        push @{ $seen{$word}{places} }, $i;
        delete $seen{$word} if $seen{$word}{count} > 40;
    }
    return \%seen;
}

sub digest {
    my ($seen) = @_;
    return md5_hex(join "\n", map { "$_ @{ $seen->{$_}{places} }" } sort keys %$seen);
}

my $seen = words(1, 300_000);
print scalar(keys %$seen), " words, ", digest($seen), "\n";
my $text = join ' ', sort { length $a <=> length $b or $a cmp $b } keys %$seen;
my $changed = $text;
my $times = ($changed =~ s/([a-f]+)-([g-z]+)/<$2|$1>/g);
print length $text, " ", length $changed, " $times ", md5_hex($changed), "\n";
my $grown = '';
$grown .= substr($text, $_ * 7 % length $text, 1 + $_ % 90) for 1 .. 200_000;
substr($grown, $_ * 1000, 500) = 'short' for 1 .. 2000;
print length $grown, " ", md5_hex($grown), "\n";
my @lines = map { { name => $_, size => length, parts => [split /-/] } } split ' ', $text;
my @sorted = sort { @{ $b->{parts} } <=> @{ $a->{parts} } or $a->{name} cmp $b->{name} } @lines;
print md5_hex(join ',', map { $_->{name} } @sorted), "\n";

my ($work, $done) = (Thread::Queue->new, Thread::Queue->new);
my @workers = map {
    threads->create(sub {
        while (defined(my $seed = $work->dequeue)) {
            $done->enqueue("$seed: " . digest(words($seed, 20_000)));
        }
    });
} 1 .. 3;
$work->enqueue(1 .. 12);
$work->end;
$_->join for @workers;
$done->end;
my @answers;
while (defined(my $answer = $done->dequeue)) { push @answers, $answer }
print "$_\n" for sort @answers;

for my $child (1 .. 20) {
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        $seen->{$_ . $child} = { count => 1, places => [$child] } for 1 .. 500;
        exit(hex(substr digest($seen), 0, 2) % 100);
    }
    waitpid $pid, 0;
    print "child $child: $?\n";
}
warn "the end\n";
SCRIPT

takes_malloc_from_library perl -e 1
both script perl "$work/script.pl"
exited_with 0 script
finish
