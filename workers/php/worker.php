<?php
// Serves a PHP site to a Drawbar front: php worker.php --from http://127.0.0.1:4242 --app NAME public/index.php
// Each slot is a process that asks the front for a request, has it served, and hands the response in (lane v2). What
// keeps PHP's requests apart is its FastCGI server, so that runs the script: php-cgi, which is started here, or a pool
// of php-fpm that --fastcgi names. A response is handed in when it is whole.
const RECORD_BYTES = 65528; // what a FastCGI record holds at most, aligned
const WAIT_S = 1; // how long the front keeps a slot waiting, and so how long an order to leave may take
const MOST_DELAY_S = 10.0; // before another try with a front that cannot be reached
const BEGIN = 1, END = 3, PARAMS = 4, STDIN_ = 5, STDOUT_ = 6; // types of FastCGI records

set_error_handler(fn (int $kind, string $text) => throw new Exception(preg_replace('/^\w+\(\): /', '', $text)));
$options = getopt('', ['from:', 'app:', 'label:', 'slots:', 'token-file:', 'fastcgi:'], $rest);
foreach (['from', 'app', 'label', 'slots', 'token-file'] as $name) {
    $options += array_filter([$name => getenv('DRAWBAR_' . strtoupper(strtr($name, '-', '_')))]);
}
if (!isset($options['from'], $options['app'], $argv[$rest])) {
    exit(fwrite(STDERR, "usage: php worker.php --from URL --app NAME [--label TEXT] [--slots N] [--token-file FILE]\n"
        . "           [--fastcgi unix:///run/php/php-fpm.sock or tcp://HOST:PORT] public/index.php\n") ? 2 : 1);
}
$options += ['script' => realpath($argv[$rest]), 'label' => '', 'slots' => 4, 'token-file' => null, 'fastcgi' => null];
if (!$options['fastcgi']) {
    umask(0077);
    $socket = sys_get_temp_dir() . '/drawbar-php-' . getmypid() . '.sock';
    $listener = stream_socket_server($options['fastcgi'] = "unix://$socket");
    // It serves FastCGI because its standard input is a listener, and dies with this process.
    $command = ['setpriv', '--pdeathsig', 'TERM', 'php-cgi'];
    putenv("PHP_FCGI_CHILDREN=$options[slots]");
    $php = proc_open($command, [$listener, STDERR, STDERR], $pipes);
}
[$stop, $stopper] = stream_socket_pair(STREAM_PF_UNIX, STREAM_SOCK_STREAM, 0); // at its end when slots are to leave
pcntl_sigprocmask(SIG_BLOCK, $signals = [SIGTERM, SIGINT, SIGCHLD]);
note("$options[slots] slots for $options[app] at $options[from]");
for ($slots = []; count($slots) < $options['slots'];) {
    ($slots[] = pcntl_fork()) || slot($options, $stop, count($slots) === 1, fclose($stopper));
}
$told = pcntl_sigwaitinfo($signals) !== SIGCHLD;
pcntl_sigprocmask(SIG_UNBLOCK, fclose($stopper) ? $signals : []);
array_map(fn (int $slot) => pcntl_waitpid($slot, $status), $slots);
isset($php) && posix_kill(-proc_get_status($php)['pid'], SIGTERM) && unlink($socket); // with its children
note($told ? 'drained' : 'drained, as a process of it died');
exit($told ? 0 : 1);

function note(string $text): void {
    fwrite(STDERR, 'worker: ' . rtrim($text) . "\n");
}

// What is wrong with the front one slot says for all, once, and when it has passed.
function slot(array $options, $stop, bool $speaks): never {
    $query = http_build_query(['app' => $options['app'], 'label' => $options['label'], 'wait' => WAIT_S]);
    for ([$delay, $well_at, $told] = [0.0, 0.0, '']; ;) {
        [$ready, $none] = [[$stop], []];
        stream_select($ready, $none, $none, (int) $delay, (int) (fmod($delay, 1) * 1e6)) && exit(0);
        try {
            [$status, $head, $body] = call($options, "next?$query");
            $status < 300 or throw new Exception("it answers $status: " . (json_decode($body)->detail ?? ''));
            $lease_ms = preg_match('/lease-ms: *(\d+)/i', $head, $found) ? (int) $found[1] : 0;
            $status === 200 && serve($options, json_decode($body, true), $lease_ms);
            [$delay, $well_at, $news] = [0.0, microtime(true), "connected to $options[from]"];
        } catch (Exception $error) {
            $news = "no connection to $options[from]: {$error->getMessage()}; trying again";
            $delay = min(MOST_DELAY_S, 0.1 + lcg_value() * 3 * ($delay + 0.1)); // decorrelated jitter
        }
        // A front that was there may be followed by another one.
        $silent = !$speaks || $news === $told || $delay > 0 && microtime(true) - $well_at < WAIT_S + 1;
        $silent || note($told = $news);
    }
}

// Asks the front: the status, the head and the body of what it says.
function call(array $options, string $path, ?string $content = null): array {
    $token = $options['token-file'] ? 'Authorization: Bearer ' . trim(file_get_contents($options['token-file'])) : '';
    ['scheme' => $scheme, 'host' => $host, 'path' => $socket, 'port' => $port] = parse_url($options['from'])
        + ['host' => 'localhost', 'path' => '', 'port' => str_starts_with($options['from'], 'https') ? 443 : 80];
    $to = ['unix' => "unix://$socket", 'https' => "tls://$host:$port"][$scheme] ?? "tcp://$host:$port";
    stream_set_timeout($front = stream_socket_client($to, $code, $why, 10), 60);
    fwrite($front, ($content === null ? 'GET' : 'POST') . " /api/v2/$path HTTP/1.0\r\nHost: $host\r\n" // it hangs up
        . "Accept: application/json\r\nContent-Type: message/http; msgtype=response\r\n" . ltrim("$token\r\n", "\r\n")
        . 'Content-Length: ' . strlen($content ?? '') . "\r\n\r\n$content");
    $said = stream_get_contents($front);
    str_contains($said, "\r\n\r\n") or throw new Exception('the front hung up');
    [$head, $body] = explode("\r\n\r\n", $said, 2);
    return [(int) substr($head, 9, 3), $head, $body];
}

function serve(array $options, array $request, int $lease_ms): void {
    $id = $request['identifier'];
    $body = base64_decode($request['body'] ?? '');
    ['REQUEST_METHOD' => $method, 'PATH_INFO' => $path] = $request['environment'];
    try {
        $env = environment($options['script'], $request['environment'], strlen($body));
        $renew = fn () => call($options, "requests/$id/renew", '')[0] < 300 or throw new Exception('its lease is lost');
        $response = response($method, run($options['fastcgi'], $env, $body, $lease_ms / 3000, $renew));
    } catch (Exception $error) {
        note("$method $path failed: {$error->getMessage()}");
        $response = response($method, "Status: 500\r\nContent-Type: text/plain\r\n\r\nInternal Server Error\n");
    }
    [$status, , $said] = call($options, "requests/$id/response", $response);
    $status < 300 || note("$method $path: the front said $status $said");
}

function environment(string $script, array $env, int $length): array {
    foreach ($env as $name => $values) { // characters where HTTP has bytes
        $env[$name] = iconv('UTF-8', 'ISO-8859-1', implode($name === 'HTTP_COOKIE' ? '; ' : ', ', (array) $values));
    }
    return [
        'SCRIPT_FILENAME' => $script, 'SCRIPT_NAME' => '/' . basename($script), 'DOCUMENT_ROOT' => dirname($script),
        'REQUEST_URI' => $env['PATH_INFO'] . rtrim("?$env[QUERY_STRING]", '?'), 'PATH_INFO' => '',
        'HTTPS' => $env['rack.url_scheme'] === 'https' ? 'on' : '', 'CONTENT_LENGTH' => (string) $length,
        'GATEWAY_INTERFACE' => 'CGI/1.1', 'REDIRECT_STATUS' => '200', // php-cgi's sign that a server started it
    ] + $env;
}

function records(int $type, string $data): string {
    $parts = $data === '' ? [] : str_split($data, RECORD_BYTES);
    $parts[] = ''; // which ends a stream
    $records = array_map(fn (string $part) => pack('C2n2x2', 1, $type, 1, strlen($part)) . $part, $parts);
    return $type === BEGIN ? $records[0] : implode('', $records);
}

// What the script says, as CGI has it.
function run(string $fastcgi, array $env, string $body, float $renew_s, callable $renew): string {
    $length = fn (string $text) => pack('N', strlen($text) | 1 << 31);
    $pairs = array_map(fn ($name, $value) => $length($name) . $length($value) . $name . $value, array_keys($env), $env);
    $to = records(BEGIN, "\0\1\0\0\0\0\0\0") . records(PARAMS, implode('', $pairs)) . records(STDIN_, $body);
    stream_set_blocking($php = stream_socket_client($fastcgi), false);
    for ([$from, $output, $fatal, $sent, $due] = ['', '', false, 0, microtime(true) + $renew_s]; ;) {
        [$read, $write, $none] = [[$php], $sent < strlen($to) ? [$php] : [], []];
        stream_select($read, $write, $none, 1);
        $sent += $write ? fwrite($php, substr($to, $sent, RECORD_BYTES)) : 0;
        $from .= $read ? fread($php, RECORD_BYTES) : '';
        while (strlen($from) >= 8 && strlen($from) >= 8 + ($size = unpack('n', $from, 4)[1]) + ord($from[6])) {
            [$type, $data, $from] = [ord($from[1]), substr($from, 8, $size), substr($from, 8 + $size + ord($from[6]))];
            if ($type === END) {
                return $fatal ? throw new Exception('a fatal error') : $output;
            }
            $type === STDOUT_ ? $output .= $data : note($data);
            $fatal = $fatal || $type !== STDOUT_ && str_contains($data, 'PHP Fatal error');
        }
        $read && feof($php) && throw new Exception('PHP hung up');
        microtime(true) > $due && ($due = microtime(true) + ($renew() ? $renew_s : 0));
    }
}

function response(string $method, string $output): string {
    [$head, $body] = explode("\r\n\r\n", $output, 2);
    $status = preg_match('/^Status: *(\d+)/mi', $head, $found) ? $found[1] : '200';
    $head = preg_replace('/^(Status|Connection|Transfer-Encoding|Content-Length):.*\r?\n?/mi', '', "$head\r\n");
    $bodiless = $method === 'HEAD' || $status === '204' || $status === '304';
    return "HTTP/1.1 $status \r\n$head" . ($bodiless ? "\r\n" : 'Content-Length: ' . strlen($body) . "\r\n\r\n$body");
}
