#!/bin/bash
# Serves what a command answers to a Drawbar front: FRONT=http://127.0.0.1:4242 APP=NAME worker.sh COMMAND...
trap 'leave=yes' TERM INT; umask 077; answer=$(mktemp); trap 'rm -f "$answer"' EXIT
api() { curl -sS --fail-with-body --max-time 90 -H @<(printf '%s' "${TOKEN_FILE:+Authorization: Bearer $(<"$TOKEN_FILE")}") "$@"; }
until [ "${leave-}" ]; do
    request=$(api -H 'Accept: application/json' "$FRONT/api/v2/next?app=$APP&label=${LABEL-}&wait=${WAIT:-5}") || { sleep 1; continue; }
    [ "$request" ] || continue
    mapfile -t environment < <(jq -r '.environment | to_entries[] | "\(.key)=\(.value | if type == "array" then join(", ") else . end)"' <<<"$request")
    jq -r '.body // ""' <<<"$request" | base64 -d | env "${environment[@]}" timeout 50 "$@" >"$answer" || printf 'HTTP/1.1 500 \r\n\r\n' >"$answer"
    api -H 'Content-Type: message/http; msgtype=response' --data-binary "@$answer" "$FRONT/api/v2/requests/$(jq -r .identifier <<<"$request")/response"
done
