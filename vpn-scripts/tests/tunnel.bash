# shellcheck shell=bash
# shellcheck disable=SC2016,SC2034,SC2154 # text for other shells; the variables of helper.bash and the tests
# An OpenVPN server on one machine of the world, its clients on another, and a wire.

# make_tunnel OPTION...: the machines, and the state directory of a host; for setup_file.
make_tunnel() {
  make_world
  # OpenVPN's user has to get at its script.
  cp -R "$libexec" "$BATS_FILE_TMPDIR/libexec"
  chmod -R go+rX "$BATS_FILE_TMPDIR/libexec"
  make_template --remote 192.0.2.1 --local 192.0.2.1 --management "$BATS_FILE_TMPDIR/m" --pidfile "$BATS_FILE_TMPDIR/pid" \
    --scripts "$BATS_FILE_TMPDIR/libexec" "$@"
  mv "$BATS_FILE_TMPDIR/template" "$BATS_FILE_TMPDIR/state"
  sed -i "s|$BATS_FILE_TMPDIR/template|$BATS_FILE_TMPDIR/state|" "$BATS_FILE_TMPDIR/state/server/openvpn.conf"
  in_world bash -eu -c '
    ip netns add there
    ip link add here0 type veth peer name there0 netns there
    ip address add 192.0.2.1/30 dev here0
    ip link set here0 up
    ip -n there address add 192.0.2.2/30 dev there0
    ip -n there link set there0 up'
}

# For the setup of each test.
use_tunnel() {
  serve_by=in_world # process numbers mean something there only
  state=$BATS_FILE_TMPDIR/state
  log=$BATS_FILE_TMPDIR/server.log
}

start_server() {
  in_world openvpn --config "$BATS_FILE_TMPDIR/state/server/openvpn.conf" --log-append "$BATS_FILE_TMPDIR/server.log" --daemon
  wait_for 'the server' grep -q 'Initialization Sequence Completed' "$BATS_FILE_TMPDIR/server.log"
}

# Nobody in the world asks how its children ended: what is left of a server is a zombie.
server_gone() {
  in_world grep -q '^State:.*zombie' "/proc/$(<"$BATS_FILE_TMPDIR/pid")/status"
}

restart_server() {
  in_world kill -TERM "$(<"$BATS_FILE_TMPDIR/pid")"
  wait_for 'the server to end' server_gone
  : >"$BATS_FILE_TMPDIR/server.log"
  start_server
}

# client_of NAME LETTER: everything that this client's requests need.
client_of() {
  name=$1 serial=4${2^^}234567890ABCDEF01234567890ABCD client=cli_0123456789abcdef0123456789abcde$2
  profile=$BATS_FILE_TMPDIR/$name.ovpn client_log=$BATS_FILE_TMPDIR/$name.log
}

issued() {
  issue
  expect 0
  payload >"$profile"
}

# start_client: with the profile of the current client.
start_client() {
  : >"$client_log"
  in_world ip netns exec there openvpn --config "$profile" --dev "tun-$name" --log "$client_log" --writepid "$client_log.pid" --daemon
}

end_client() {
  in_world kill -9 "$(<"$client_log.pid")"
}

connected() {
  wait_for "$name to connect: $client_log" grep -q 'Initialization Sequence Completed' "$client_log"
}

reachable() {
  in_world ip netns exec there ping -c 1 -W 2 -I "tun-$name" 10.88.0.1 >/dev/null
}

# The current client, since the log was emptied: OpenVPN has not even looked at its certificate.
refused_before_tls() {
  wait_for 'the refusal in the log' grep -q "tls-crypt-v2-verify: refused: the serial $serial is not admitted" "$log"
  run ! grep -q "VERIFY OK\|VERIFY ERROR\|CN=$name" "$log"
}

# with_tls_crypt_of NAME FILE: the profile in FILE gets the tls-crypt-v2 key of that one.
with_tls_crypt_of() {
  {
    sed '/^<tls-crypt-v2>$/,/^<\/tls-crypt-v2>$/d' "$2"
    sed -n '/^<tls-crypt-v2>$/,/^<\/tls-crypt-v2>$/p' "$BATS_FILE_TMPDIR/$1.ovpn"
  } >"$2.new"
  mv "$2.new" "$2"
}
