# Serves a PSGI application to a Drawbar front: perl worker.pl --from http://127.0.0.1:4242 --app NAME app.psgi
# Each slot is a process that dials the front, upgrades, and answers HTTP/1.1 requests on the connection, one at a time.
# The front has checked what clients sent, so that is read without suspicion; what the application says is checked here.
use strict; use warnings; BEGIN { *CORE::GLOBAL::exit = sub { die "it called exit\n" } }    # ends a request alone
use File::Spec; use Getopt::Long; use IO::Socket::IP; use IO::Socket::UNIX; use List::Util qw(min pairs);
use Socket qw(IPPROTO_TCP SOL_SOCKET SO_KEEPALIVE TCP_KEEPCNT TCP_KEEPIDLE TCP_KEEPINTVL TCP_NODELAY);
use constant { IN_MEMORY_BYTES => 65_536, READ_BYTES => 65_536, MOST_WAIT_SECONDS => 10 };
use constant RELEASED => "HTTP/1.1 503 Left\r\nDrawbar-Released: 1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
my %opt = (label => '', slots => 4);
for (qw(from app label slots token-file)) { my $said = $ENV{ 'DRAWBAR_' . uc tr/-/_/r }; $opt{$_} = $said if $said }
GetOptions(\%opt, 'from=s', 'app=s', 'label=s', 'slots=i', 'token-file=s') && $opt{from} && defined $opt{app}
    or die "usage: perl worker.pl --from URL --app NAME [--label TEXT] [--slots N] [--token-file FILE] [app.psgi]\n";
my $file = File::Spec->rel2abs(shift // 'app.psgi');
my $app = do { package Application; do $file };
ref $app or die "$file is no PSGI application: ", $@ || $! || 'it does not return a function', "\n";
pipe my $stop, my $stopper or die; my ($io, $buffer, $useful, $begun, $closing);    # $stop ends when the parent leaves
@SIG{qw(PIPE TERM INT)} = ('IGNORE', (sub { $stopper ? undef $stopper : CORE::exit(1) }) x 2);
sub note { print STDERR join('', 'worker: ', @_) =~ s/\s*\z/\n/r }
note("$opt{slots} slots for $opt{app} at $opt{from}");
my %slots = map { start($_ == 1) => $_ == 1 } 1 .. $opt{slots};
while (%slots and (my $pid = wait) > 0) {
    my $speaks = delete $slots{$pid};
    note("a slot ended with status $?; another one takes its place") if $stopper;
    $slots{ start($speaks) } = $speaks unless stopping($stopper ? 1 : 0);
}
note('drained'), CORE::exit(0);

sub start {    # dials again at once when a connection was of use, else with decorrelated jitter; one $speaks for all
    my ($speaks, $told, $well) = (shift, '', 0);
    if (my $pid = fork // die "fork: $!") { return $pid }
    srand, (@SIG{qw(TERM INT)}, $stopper) = ('IGNORE') x 2;    # signals are the parent's part
    for (my $wait = 0; !stopping($wait); $wait = $useful ? 0 : min(MOST_WAIT_SECONDS, 0.1 + rand 3 * ($wait + 0.1))) {
        ($useful, $buffer, $io) = (0, '');
        my $wrong = eval { dial(); '' } // $@ =~ s/( at \S+ line \d.*)?\n//r;
        my $news = $wrong ? "no connection to $opt{from}: $wrong; trying again" : "attached to $opt{from}";
        note($told = $news) if $speaks && $news ne $told && time - $well > 1 && !stopping(0);    # others follow it
        $wrong or eval { 1 while answer(); $well = time } or stopping(0) or note("a connection broke: $@");
    }
    CORE::exit(0);
}

sub stopping {    # waits for an order to leave, or for one of @also; true for the order
    my ($bits, $seconds, @also) = ('', @_);
    vec($bits, fileno $_, 1) = 1 for $stop, @also;
    return select($bits, undef, undef, $seconds) > 0 && vec $bits, fileno $stop, 1;
}

sub dial {
    my ($scheme, $host, $port, $path) = $opt{from} =~ m{^(\w+):(?://(\[.*\]|[^:/]+)(?::(\d+))?)?(.*)} or die 'no URL';
    my $class = $scheme ne 'https' ? 'IO::Socket::IP' : require IO::Socket::SSL && 'IO::Socket::SSL';
    $io = !$host ? IO::Socket::UNIX->new(Peer => $path)
        : $class->new(PeerHost => $host =~ tr/[]//dr, PeerPort => $port // $scheme) or die $@ || $!;
    my @keep_alive = ([TCP_NODELAY, 1], [TCP_KEEPIDLE, 30], [TCP_KEEPINTVL, 10], [TCP_KEEPCNT, 3]);
    $host and setsockopt $io, $_->[2] // IPPROTO_TCP, $_->[0], $_->[1] for @keep_alive, [SO_KEEPALIVE, 1, SOL_SOCKET];
    my $token = $opt{'token-file'} && 'Authorization: Bearer ' . do { local (@ARGV, $/) = $opt{'token-file'}; <> };
    my ($name, $label) = map { s/([^\w.~-])/sprintf '%%%02X', ord $1/ger } @opt{qw(app label)};
    put("GET /api/v2/attach?app=$name&label=$label HTTP/1.1\r\nHost: ", $host // 'localhost', "\r\n",
        $token ? $token =~ s/\s*\z/\r\n/r : '', "Connection: Upgrade\r\nUpgrade: PTTH/1.0\r\n\r\n");
    return if (my $head = take("\r\n\r\n")) =~ m{^HTTP/1\.1 101 };
    die 'it answers ', $head =~ s/^\S+ |\r.*//gsr, ': ', (length $buffer || more()) && $buffer =~ /"detail": *"(.*?)"/;
}

sub more { return sysread $io, $buffer, READ_BYTES, length $buffer }
sub put { $begun = print {$io} join '', @_ or die "the front hung up: $!" }
sub take {
    my ($end, $at) = shift;
    more() or die 'the front hung up' while ($at = index $buffer, $end) < 0;
    return substr $buffer, 0, $at + length $end, '';
}

sub answer {    # one request; true when the connection can take another
    return !put(RELEASED) if !length $buffer && stopping(undef, $io);    # none was begun
    return 0 unless length $buffer || more();
    my ($start, @fields) = split /\r\n/, take("\r\n\r\n");
    my $env = environment((split / /, $start)[0, 1], map { [split /:[ \t]*/, $_, 2] } @fields);
    ($useful, $begun, $closing) = (1, 0, lc($env->{HTTP_CONNECTION} // '') eq 'close');
    eval {
        my ($result, $writer) = scalar $app->($env);
        my $respond = sub { $writer = respond($env->{REQUEST_METHOD}, @{ $_[0] }) };
        ref $result eq 'CODE' ? $result->($respond) : $respond->($result);
        # An application that did not respond has made use of psgix.io.
        $writer ? $writer->{closed} || die 'it returned and left its response open' : ($closing = 1);
    } or do {
        note("$start failed: $@");
        $begun ? $closing = 1 : respond($env->{REQUEST_METHOD}, 500, ['Content-Type', 'text/plain'], ["It failed.\n"]);
    };
    return !$closing;
}

sub environment {
    my ($method, $target, @fields) = @_;
    my %env = (
        REQUEST_METHOD => $method, REQUEST_URI => $target, SCRIPT_NAME => '', SERVER_PROTOCOL => 'HTTP/1.1',
        PATH_INFO => $target =~ s/\?.*//r =~ s/%(\w\w)/chr hex $1/ger, QUERY_STRING => $target =~ s/.*?(\?|$)//r,
        'psgi.version' => [1, 1], 'psgi.errors' => *STDERR, 'psgi.multithread' => '', 'psgi.multiprocess' => 1,
        'psgi.run_once' => '', 'psgi.nonblocking' => '', 'psgi.streaming' => 1, 'psgix.input.buffered' => 1);
    for (grep { $_->[0] !~ /_|^proxy$/i } @fields) {    # which would pass for another name, for a setting
        my $key = ('HTTP_' . uc $_->[0] =~ tr/-/_/r) =~ s/^HTTP_(?=CONTENT_(TYPE|LENGTH)$)//r;
        $env{$key} = exists $env{$key} ? join $key eq 'HTTP_COOKIE' ? '; ' : ', ', $env{$key}, $_->[1] : $_->[1];
    }
    my ($name, $port) = ($env{HTTP_HOST} // '') =~ /^(\[.*\]|[^:]+)(?::(\d+))?$/;
    my $scheme = $env{'psgi.url_scheme'} = $env{HTTP_X_FORWARDED_PROTO} // 'http';
    @env{qw(SERVER_NAME SERVER_PORT)} = ($name // 'localhost', $port // ($scheme eq 'https' ? 443 : 80));
    $env{REMOTE_ADDR} = ($env{HTTP_X_FORWARDED_FOR} // '') =~ s/.*[, ]//r;
    my ($chunked, $left) = (delete $env{HTTP_TRANSFER_ENCODING}, $env{CONTENT_LENGTH} // 0);
    open my $body, '+>', $chunked || $left > IN_MEMORY_BYTES ? undef : \my $memory or die $!;
    while (($left = $chunked ? hex take("\r\n") =~ s/\W.*//sr : $left) > 0) {
        for (my $part; $left > 0; $left -= length $part) {
            length $buffer or more() or die 'the request ended early';
            print {$body} $part = substr $buffer, 0, $left, '';
        }
        take("\r\n") if $chunked;
    }
    $env{CONTENT_LENGTH} = tell $body if $chunked && take("\r\n");
    return seek($body, 0, 0) && { %env, 'psgi.input' => $body, 'psgix.io' => $io };
}

sub respond {    # without a body: sends the head, and returns what will write a body
    my ($method, $status, $headers, $body) = @_;
    my %to = (head => "HTTP/1.1 $status \r\n", bodiless => !!($method eq 'HEAD' || $status =~ /^[23]04$/));
    for (pairs @$headers) {
        my ($name, $value) = @$_;
        die "a line break within $name" if "$status$name$value" =~ /[\r\n\0]/;
        $to{left} = $value if lc $name eq 'content-length';
        $to{head} .= "$name: $value\r\n" unless lc $name eq 'connection';
    }
    $to{head} .= "Transfer-Encoding: chunked\r\n" if $to{chunked} = !$to{bodiless} && !defined $to{left};
    $to{head} .= ($closing ||= stopping(0)) ? "Connection: close\r\n\r\n" : "\r\n";
    my $writer = bless \%to, 'Writer';
    put(delete $to{head}) && return $writer unless $body;
    local $/ = \READ_BYTES;
    $writer->write($_) for ref $body eq 'ARRAY' ? @$body : ();
    while (ref $body ne 'ARRAY' && defined(my $part = $body->getline)) { $writer->write($part) }
    $body->close if ref $body ne 'ARRAY';
    return $writer->close;
}

sub Writer::write {
    my ($self, $part) = @_;
    utf8::downgrade($part, 1) or die 'its body has a character wider than a byte';
    return if $self->{bodiless} || !length $part;
    die 'its body is longer than its Content-Length' if defined $self->{left} && ($self->{left} -= length $part) < 0;
    main::put(delete $self->{head} // '', $self->{chunked} ? (sprintf("%x\r\n", length $part), $part, "\r\n") : $part);
}
sub Writer::close {
    my $self = shift;
    die 'its body is shorter than its Content-Length' if $self->{left} && !$self->{bodiless};
    main::put(delete $self->{head} // '', $self->{chunked} ? "0\r\n\r\n" : '');
    return $self->{closed} = $self;
}
