#!/bin/sh
# The platform's main job with nothing but curl and jq.
#
#   make dev                                   in another terminal
#   TOKEN=vpn_pat_… examples/curl.sh           with the token that it prints
#
# URL is the API's address, http://127.0.0.1:8080/graphql when it is not set. The profile is written to
# NAME.ovpn in the current directory, for its owner alone.
# shellcheck disable=SC2016 # $id and $input are GraphQL variables, not the shell's
set -eu

url=${URL:-http://127.0.0.1:8080/graphql}
name=${NAME:-curl-$(date +%s)}
: "${TOKEN:?set it to an access token of an operator; make dev prints one}"

# ask DOCUMENT VARIABLES: prints the data; an error of any kind ends the script. The token goes to curl
# through a pipe: other users can read command lines.
ask() {
  body=$(jq -cn --arg query "$1" --argjson variables "$2" '{query: $query, variables: $variables}')
  answer=$(printf 'header = "authorization: Bearer %s"\n' "$TOKEN" |
    curl -sS --config - -H 'content-type: application/json' --data "$body" "$url")
  errors=$(printf '%s' "$answer" | jq -c '[.errors[]?, (.data | .. | .userErrors? // empty | .[])]')
  if [ "$errors" != '[]' ]; then
    printf 'refused: %s\n' "$errors" >&2
    return 1
  fi
  printf '%s' "$answer" | jq -c .data
}

# wait_for STATUS: asks twice a second. A program would subscribe to clientStatus instead.
wait_for() {
  tries=0
  while [ $tries -lt 240 ]; do
    state=$(ask 'query($id: ID!) { client(id: $id) { status currentJob { step lastError { code message } } } }' "{\"id\": \"$client\"}")
    [ "$(printf '%s' "$state" | jq -r .client.status)" != "$1" ] || return 0
    sleep 0.5
    tries=$((tries + 1))
  done
  printf 'the client did not become %s: %s\n' "$1" "$state" >&2
  return 1
}

# The answer first, then what is taken from it: in a pipe its failure would go unnoticed.
servers=$(ask '{ servers { id name } }' '{}')
server=$(printf '%s' "$servers" | jq -r '.servers[0].id')

created=$(ask 'mutation($input: CreateClientInput!) { createClient(input: $input) { client { id } userErrors { code message field } } }' \
  "{\"input\": {\"name\": \"$name\", \"serverId\": \"$server\", \"idempotencyKey\": \"create-$name\"}}")
client=$(printf '%s' "$created" | jq -r .createClient.client.id)
echo "created      $name ($client)"

ask 'mutation($input: ProvisionClientInput!) { provisionClient(input: $input) { job { id } userErrors { code message field } } }' \
  "{\"input\": {\"clientId\": \"$client\", \"validityDays\": 30}}" >/dev/null
wait_for ACTIVE
echo 'provisioned  it may connect'

profile=$(ask 'mutation($input: DeliverProfileInput!) { deliverProfile(input: $input) { profile userErrors { code message field } } }' \
  "{\"input\": {\"clientId\": \"$client\"}}")
(umask 077 && printf '%s' "$profile" | jq -r .deliverProfile.profile >"$name.ovpn")
echo "delivered    $name.ovpn, once: connect with  openvpn --config $name.ovpn"

ask 'mutation($input: RevokeClientInput!) { revokeClient(input: $input) { job { id } userErrors { code message field } } }' \
  "{\"input\": {\"clientId\": \"$client\", \"reason\": \"the end of the walk-through\"}}" >/dev/null
wait_for REVOKED
echo 'revoked      it may never connect again'

ask 'query($filter: AuditFilter) { auditLog(filter: $filter, first: 20) { edges { node { at actor action outcome } } } }' \
  "{\"filter\": {\"clientId\": \"$client\"}}" | jq -r '.auditLog.edges | reverse | .[].node | "audit        \(.at)  \(.actor)  \(.action)  \(.outcome)"'
