<?php
// Serves a PHP site to a Drawbar front: php worker.php --from http://127.0.0.1:4242 --app NAME public/index.php
// PHP isolates requests in its FastCGI server, so that runs the script: php-cgi, started here, or a php-fpm pool named
// by --fastcgi. Each slot is a process that dials the front, upgrades, and passes each request of the connection on.
// The front has checked what clients sent, so that is read without suspicion.
const MOST_WAIT_S = 10.0; // for a front that cannot be reached
const READ_BYTES = 65536;
const IN_MEMORY_BYTES = 65536; // a larger request body goes to a file

class Gone extends Exception {} // the front hung up: its client left, or its time was over

$options = getopt('', ['from:', 'app:', 'label:', 'slots:', 'token-file:', 'fastcgi:'], $rest);
$usage = "usage: php worker.php --from URL --app NAME [--label TEXT] [--slots N] [--token-file FILE]\n"
    . "           [--fastcgi unix:///run/php/php-fpm.sock|tcp://HOST:PORT] [index.php]\n";
isset($options['from'], $options['app']) or exit(fwrite(STDERR, $usage) ? 2 : 2);
$script = realpath($argv[$rest] ?? 'index.php') ?: exit("worker: there is no " . ($argv[$rest] ?? 'index.php') . "\n");
$slots = (int) ($options['slots'] ?? 4);

function note(string $text): void
{
    fwrite(STDERR, "worker: $text\n");
}
