#!/usr/bin/env bash
# Places one opening order with nothing but curl and openssl. It costs MAX_COST USDT at most, or is refused.
#
#   CROSSBOOK_URL=http://127.0.0.1:8000 CROSSBOOK_KEY=cbk_... CROSSBOOK_SECRET=cbs_... \
#       ./place_order.sh "$SYMBOL" 2 my-order-1 MAX_COST
#
# Run again with the same id it is the same order. If an earlier run had no answer, a refusal with "final": false says
# nothing of that one: ask GET /api/v1/orders?client_order_id=... after final_after_ms.
#
# openssl is given the secret as an argument, which others on the same machine can see while it runs.
set -euo pipefail

symbol=$1 contracts=$2 client_order_id=$3 max_cost=$4
path=/api/v1/orders
recv_window=5000
timestamp=$(date +%s%3N)
body="{\"type\":\"open\",\"client_order_id\":\"$client_order_id\",\"symbol\":\"$symbol\",\"contracts\":$contracts,\"max_cost\":\"$max_cost\"}"

# Exactly the bytes that are sent, with nothing between: time, window, method, path with query, body.
signature=$(printf '%s' "${timestamp}${recv_window}POST${path}${body}" |
    openssl dgst -sha256 -hmac "$CROSSBOOK_SECRET" -r | cut -d ' ' -f 1)

curl --silent --show-error --fail-with-body "$CROSSBOOK_URL$path" \
    --header "X-API-Key: $CROSSBOOK_KEY" \
    --header "X-API-Timestamp: $timestamp" \
    --header "X-API-Recv-Window: $recv_window" \
    --header "X-API-Signature: $signature" \
    --header "Content-Type: application/json" \
    --data-binary "$body"
