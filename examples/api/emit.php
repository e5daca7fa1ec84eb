<?php
// php emit.php ROOM TEXT: everyone in a room gets the event "news". API_URL and API_KEY say where the API is.

declare(strict_types=1);

/** Emits an event to a room. It repeats the request while Redis is away, and the key keeps it from being carried out twice. */
function emit(string $room, string $event, array $args): void
{
    $options = ['http' => [
        'method' => 'POST',
        'header' => [
            'Authorization: Bearer ' . getenv('API_KEY'),
            'Content-Type: application/json',
            'Idempotency-Key: ' . bin2hex(random_bytes(16)),
        ],
        'content' => json_encode(['event' => $event, 'args' => $args, 'rooms' => [$room]], JSON_THROW_ON_ERROR),
        'timeout' => 10,
        'ignore_errors' => true, // the body says what is wrong
    ]];
    for ($try = 1; ; $try++) {
        $answer = @file_get_contents(getenv('API_URL') . '/v1/emit', false, stream_context_create($options));
        $status = $answer === false ? 0 : (int) explode(' ', $http_response_header[0])[1];
        if ($status === 202) {
            return;
        }
        if ($try === 5 || !in_array($status, [0, 409, 503, 504], true)) {
            throw new RuntimeException("the API answers $status: $answer");
        }
        sleep(1);
    }
}

emit($argv[1], 'news', [$argv[2]]);
echo "sent\n";
