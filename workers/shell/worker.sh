#!/bin/bash
# Serves what a command answers to a Drawbar front: DRAWBAR_FROM=http://127.0.0.1:4242 DRAWBAR_APP=NAME worker.sh COMMAND...
trap 'leave=yes' TERM INT; umask 077; answer=$(mktemp); trap 'rm -f "$answer"' EXIT
site=$DRAWBAR_FROM token=${DRAWBAR_TOKEN_FILE-}; [[ $site != unix:* ]] || { via=(--unix-socket "${site#unix:}"); site=http://localhost; }
api() { curl -sS --fail-with-body --max-time 90 "${via[@]}" -H @<(printf '%s' "${token:+Authorization: Bearer $(<"$token")}") "$@"; }
until [ "${leave-}" ]; do
    request=$(api -H 'Accept: application/json' "$site/api/v2/next?app=$DRAWBAR_APP&label=${DRAWBAR_LABEL-}&wait=${WAIT:-5}") || { sleep 1; continue; }
    [ "$request" ] || continue
    mapfile -t environment < <(jq -r '.environment | to_entries[] | "\(.key)=\(.value | if type == "array" then join(", ") else . end)"' <<<"$request")
    jq -r '.body // ""' <<<"$request" | base64 -d | env "${environment[@]}" timeout 50 "$@" >"$answer" || printf 'HTTP/1.1 500 \r\n\r\n' >"$answer"
    api -H 'Content-Type: message/http; msgtype=response' --data-binary "@$answer" "$site/api/v2/requests/$(jq -r .identifier <<<"$request")/response"
done
