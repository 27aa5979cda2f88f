# What every worker's test application does, for PSGI, with Plack's Lint around it.
use strict;
use warnings;
use Plack::Middleware::Lint;

sub text {
    my ($body, @headers) = @_;
    return [200, ['Content-Type' => 'text/plain', @headers], [$body]];
}

sub streamed {
    my ($second) = @_;
    return sub {
        my $writer = shift->([200, ['Content-Type' => 'text/plain']]);
        $writer->write("first\n");
        $writer->write($second->());
        $writer->close;
    };
}

sub slurp {
    open my $file, '<', shift or die $!;
    local $/;
    return <$file>;
}

my $app = sub {
    my $env = shift;
    my $path = $env->{PATH_INFO};
    if ($path eq '/hello') { return text('hello') }
    if ($path eq '/echo') {
        my $body = '';
        1 while $env->{'psgi.input'}->read($body, 4096, length $body);
        return text($body, 'X-Method' => $env->{REQUEST_METHOD}, 'X-Path' => $path, 'X-Query' => $env->{QUERY_STRING},
            'X-Cookie' => $env->{HTTP_COOKIE} // '', 'X-Many' => $env->{HTTP_X_MANY} // '');
    }
    if ($path eq '/about') {
        return text(join ' ', @$env{qw(psgi.url_scheme SERVER_NAME SERVER_PORT REMOTE_ADDR)}, $env->{HTTP_X_SLY} // '');
    }
    if ($path eq '/cookies') { return text('', 'Set-Cookie' => 'a=1', 'Set-Cookie' => 'b=2') }
    if ($path eq '/binary')  { return text(join('', map { chr } 0 .. 255) x 4096) }
    if ($path eq '/nothing') { return [204, [], []] }
    if ($path eq '/stream') { return streamed(sub { slurp($env->{QUERY_STRING}) }) }
    if ($path eq '/fail') { die "on purpose\n" }
    if ($path eq '/fail-late') { return streamed(sub { die "too late\n" }) }
    if ($path eq '/exit') { exit 3 }
    if ($path eq '/file') { open my $file, '<', __FILE__ or die $!; return [200, ['Content-Type' => 'text/plain'], $file] }
    if ($path eq '/upgrade') {
        return sub {
            my $io = $env->{'psgix.io'};
            print {$io} "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: echo\r\n\r\n";
            while (sysread $io, my $data, 4096) { print {$io} uc $data }
        };
    }
    return [404, ['Content-Type' => 'text/plain'], ['not found']];
};
my $linted = Plack::Middleware::Lint->wrap($app);

# Lint forbids what this one tries.
sub { $_[0]{PATH_INFO} eq '/bad-header' ? [200, ['X-Bad' => "a\rb: c"], []] : $linted->(@_) };
