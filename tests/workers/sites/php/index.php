<?php
// What every worker's test application does, as a front controller.
function text(string $body): void
{
    header('Content-Type: text/plain');
    echo $body;
}

$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
switch ($path) {
    case '/hello':
        text('hello');
        break;
    case '/echo':
        header("X-Method: $_SERVER[REQUEST_METHOD]");
        header("X-Path: $path");
        header("X-Query: $_SERVER[QUERY_STRING]");
        header('X-Cookie: ' . ($_SERVER['HTTP_COOKIE'] ?? ''));
        header('X-Many: ' . ($_SERVER['HTTP_X_MANY'] ?? ''));
        text(file_get_contents('php://input'));
        break;
    case '/form':
        text(implode(' ', [$_GET['a'], $_POST['b'], $_COOKIE['c'], count(get_included_files()), isset($seen) ? 'again' : 'new']));
        $seen = true;
        break;
    case '/about':
        $scheme = ($_SERVER['HTTPS'] ?? '') === 'on' ? 'https' : 'http';
        text("$scheme $_SERVER[SERVER_NAME] $_SERVER[SERVER_PORT] $_SERVER[REMOTE_ADDR] " . ($_SERVER['HTTP_X_SLY'] ?? ''));
        break;
    case '/cookies':
        setcookie('a', '1');
        setcookie('b', '2');
        break;
    case '/binary':
        text(str_repeat(implode('', array_map('chr', range(0, 255))), 4096));
        break;
    case '/nothing':
        http_response_code(204);
        break;
    case '/wait':
        text(file_get_contents($_SERVER['QUERY_STRING']));
        break;
    case '/fail':
        throw new Exception('on purpose');
    case '/fail-late':
        text("first\n");
        flush();
        throw new Exception('too late');
    case '/exit':
        exit(3);
    case '/bad-header':
        header("X-Bad: a\rb: c");
        break;
    default:
        http_response_code(404);
        text('not found');
}
