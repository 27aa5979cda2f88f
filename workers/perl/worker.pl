#!/usr/bin/perl
# Serves a PSGI application to a Drawbar front: perl worker.pl --from http://127.0.0.1:4242 --app NAME app.psgi
# Each slot is a process that dials the front, upgrades, and answers HTTP/1.1 requests on the connection, one at a time.
# The front has checked what clients sent, so that is read without suspicion; what the application says is checked here.
use strict;
use warnings;
BEGIN { *CORE::GLOBAL::exit = sub { die "it called exit\n" } }    # ends a request, not the slot
use File::Spec;
use File::Temp;
use Getopt::Long;
use IO::Socket::IP;
use IO::Socket::UNIX;
use List::Util qw(min sum0);
use Socket qw(IPPROTO_TCP SOL_SOCKET SO_KEEPALIVE TCP_KEEPCNT TCP_KEEPIDLE TCP_KEEPINTVL TCP_NODELAY);

use constant { IN_MEMORY_BYTES => 65_536, READ_BYTES => 65_536, MOST_WAIT_SECONDS => 10 };

my %opt = (label => '', slots => 4);
GetOptions(\%opt, 'from=s', 'app=s', 'label=s', 'slots=i', 'token-file=s') && $opt{from} && defined $opt{app}
    or die "usage: perl worker.pl --from URL --app NAME [--label TEXT] [--slots N] [--token-file FILE] [app.psgi]\n";
my $file = File::Spec->rel2abs(shift // 'app.psgi');
my $app = do { package Application; do $file };
ref $app eq 'CODE' or die "$file is no PSGI application: ", $@ || $! || 'it does not return a function', "\n";

pipe my $stop, my $stopper or die;    # at its end once the parent was told to leave, or died
my ($io, $buffer, $useful, $begun, $closing);
$SIG{PIPE} = 'IGNORE';
$SIG{TERM} = $SIG{INT} = sub { $stopper ? undef $stopper : CORE::exit(1) };
sub note { print STDERR 'worker: ', @_, "\n" }
note("$opt{slots} slots for $opt{app} at $opt{from}");
my %slots = map { start() => 1 } 1 .. $opt{slots};
while (%slots and (my $pid = wait) > 0) {
    delete $slots{$pid};
    next unless $stopper;
    note("a slot ended with status $?; another one takes its place");
    $slots{ start() } = 1 unless stopping(1);
}
note('drained');
CORE::exit(0);

sub start {
    defined(my $pid = fork) or die "fork: $!";
    return $pid if $pid;
    $SIG{TERM} = $SIG{INT} = 'IGNORE';    # the parent's part
    undef $stopper;
    srand;
    # Dials again at once when a connection was of use, else with decorrelated jitter.
    for (my $delay = 0; !stopping($delay); $delay = $useful ? 0 : min(MOST_WAIT_SECONDS, 0.1 + rand 3 * ($delay + 0.1))) {
        ($useful, $buffer) = (0, '');
        eval { dial(); 1 while waiting() && answer(); 1 } or note("no connection to $opt{from}: $@" =~ s/\s+\z//r);
        undef $io;
    }
    CORE::exit(0);
}

sub ready { my ($seconds, @of) = @_; vec(my $bits = '', fileno $_, 1) = 1 for @of; select $bits, undef, undef, $seconds }
