# Shared by all tests. VPN_HOST_SHELL says which shell runs the scripts.
# shellcheck disable=SC2034 # used by the tests

room=$(cd -P -- "$BATS_TEST_DIRNAME/../.." && pwd)
libexec=$room/libexec
shell=${VPN_HOST_SHELL:-dash}
bats_require_minimum_version 1.5.0

client=cli_0123456789abcdef0123456789abcdef
other_client=cli_ffffffffffffffffffffffffffffffff
job=job_0123456789abcdef0123456789abcdef
attempt=00000000000000000000000000000001
other_attempt=00000000000000000000000000000002
name=alice
serial=41234567890ABCDEF01234567890ABCD
other_serial=7FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFF
fence=10
days=30

# One state directory per file, copied for every test. The directories above must
# let OpenVPN's user through, as the CRL demands.
make_template() {
  chmod o+x "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR"
  "$shell" "$libexec/setup" --state "$BATS_FILE_TMPDIR/template" --remote vpn.example.net --management none "$@" >/dev/null
}

use_template() {
  chmod o+x "$BATS_TEST_TMPDIR" "${BATS_TEST_TMPDIR%/*}"
  state=$BATS_TEST_TMPDIR/state
  cp -a "$BATS_FILE_TMPDIR/template" "$state"
  sed -i "s|$BATS_FILE_TMPDIR/template|$state|" "$state/server/openvpn.conf"
}

# request LINE...: the request with these lines.
request() {
  local body
  printf -v body '%s\n' 'vpn-host 1' "$@"
  printf '%send=%s\n' "$body" "${#body}"
}

# fields VERB [LINE...]: the request of a fenced verb, from the variables above.
fields() {
  local verb=$1
  shift
  request "verb=$verb" "client=$client" "job=$job" "fence=$fence" "attempt=$attempt" "name=$name" "serial=$serial" "$@"
}

# serve: a request from standard input. Sets status, reply, and the parts of the
# reply; checks the frame of every reply that any test sees. serve_by is a command
# that runs another one somewhere else.
serve_by='command'
serve() {
  status=0
  "$serve_by" "$shell" "$libexec/vpn-host" "$state" >"$BATS_TEST_TMPDIR/reply" 2>"$BATS_TEST_TMPDIR/stderr" || status=$?
  read_reply
}

ask() {
  serve < <(fields "$@")
}

issue() { ask issue "days=$days"; }

# from VERB [SERIAL]: a page, from this serial on.
first=00000000000000000000000000000000
from() { serve < <(request "verb=$1" "serial=${2:-$first}"); }

read_reply() {
  reply=$(<"$BATS_TEST_TMPDIR/reply")
  local last=${reply##*$'\n'} size
  size=$(stat -c %s "$BATS_TEST_TMPDIR/reply")
  if [ "$last" != "end=$((size - ${#last} - 1))" ]; then
    echo "the reply's frame is wrong:" && cat "$BATS_TEST_TMPDIR/reply" "$BATS_TEST_TMPDIR/stderr"
    return 1
  fi
  case $status,$reply in
    0,'vpn-host 1 ok'$'\n'*) ;;
    *,'vpn-host 1 error'$'\n'"code=$status"$'\n'error=*$'\n'end=*) ;;
    *) echo "status $status does not fit the reply:" && printf '%s\n' "$reply" && return 1 ;;
  esac
}

# value KEY: from the reply, before the payload.
value() {
  sed -n "/^payload=/q; s/^$1=//p" "$BATS_TEST_TMPDIR/reply"
}

payload_size() {
  sed -n 's/^payload=//p;T;q' "$BATS_TEST_TMPDIR/reply"
}

payload() {
  local size
  size=$(payload_size)
  [ -n "$size" ] || return 1
  sed '1,/^payload=/d' "$BATS_TEST_TMPDIR/reply" | head -c "$size"
}

# expect STATUS [TEXT]: of the last request.
expect() {
  if [ "$status" -ne "$1" ]; then
    echo "expected $1, got $status:" && cat "$BATS_TEST_TMPDIR/reply" "$BATS_TEST_TMPDIR/stderr"
    return 1
  fi
  case $reply in
    *"${2-}"*) ;;
    *) echo "no '$2' in:" && cat "$BATS_TEST_TMPDIR/reply" && return 1 ;;
  esac
}

# The block TAG of a profile on standard input.
block() {
  sed -n "/^<$1>\$/,/^<\/$1>\$/p" | sed '1d;$d'
}

public_key_of() { # FILE of a certificate
  openssl x509 -in "$1" -noout -pubkey
}

# One certificate, ours, for this name and serial, and the key that belongs to it.
assert_profile() { # FILE
  block cert <"$1" >"$BATS_TEST_TMPDIR/crt"
  SSL_CERT_FILE=/dev/null openssl verify -CAfile "$state/ca/ca.crt" -purpose sslclient "$BATS_TEST_TMPDIR/crt" >/dev/null
  [ "$(openssl x509 -in "$BATS_TEST_TMPDIR/crt" -noout -serial -subject)" = "serial=$serial"$'\n'"subject=CN = $name" ]
  if grep -q '^<key>$' "$1"; then
    block key <"$1" >"$BATS_TEST_TMPDIR/key"
    [ "$(openssl pkey -in "$BATS_TEST_TMPDIR/key" -pubout)" = "$(public_key_of "$BATS_TEST_TMPDIR/crt")" ]
  fi
}

crl_text() {
  openssl crl -in "$state/pub/crl.pem" -noout -text
}

# at SECONDS COMMAND...: with this clock for who makes the list, and looks at it.
at() {
  # shellcheck disable=SC2016 # for perl
  printf 'package Clock; BEGIN { *CORE::GLOBAL::time = sub () { $ENV{CLOCK} } } 1;\n' >"$BATS_TEST_TMPDIR/Clock.pm"
  CLOCK=$1 PERL5OPT="-I$BATS_TEST_TMPDIR -MClock" "${@:2}"
}

# "openssl crl" ends with 0 when the signature is wrong: its message tells.
crl_verifies() {
  openssl crl -in "$state/pub/crl.pem" -CAfile "$state/ca/ca.crt" -noout 2>&1 | grep -q 'verify OK'
}

# make_csr FILE: key FILE.key, request FILE.csr; the csr= lines go to csr_lines.
make_csr() {
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -keyout "$1.key" \
    -subj "/CN=somebody else" -addext 'basicConstraints=CA:TRUE' -out "$1.csr" 2>/dev/null
  csr_of "$1.csr"
}

csr_of() {
  mapfile -t csr_lines < <(sed '/^-----/d; s/^/csr=/' "$1")
}

# wait_for WHAT COMMAND...: until COMMAND succeeds, at most 15 seconds.
wait_for() {
  local what=$1 deadline=$((SECONDS + 15))
  shift
  until "$@" 2>/dev/null; do
    if [ "$SECONDS" -ge "$deadline" ]; then
      echo "waited 15 seconds in vain: $what"
      return 1
    fi
    sleep 0.02
  done
}

# end PROCESS: by its number, and see it go.
end() {
  kill -9 "$1" 2>/dev/null || :
  wait "$1" 2>/dev/null || :
}

# files DIRECTORY: how many there are in this directory of the state.
files() {
  local found
  found=$(ls "$state/$1")
  if [ -z "$found" ]; then echo 0; else wc -l <<<"$found"; fi
}

parts=()

# apart N COMMAND...: COMMAND in the background, with replies of its own, in parts/N.
apart() {
  local n=$1
  shift
  (
    BATS_TEST_TMPDIR=$BATS_TEST_TMPDIR/parts/$n
    mkdir -p "$BATS_TEST_TMPDIR"
    "$@"
    echo "$status" >"$BATS_TEST_TMPDIR/status"
  ) 3>&- &
  parts+=("$!")
}

# slowly COMMAND...: with standard input from the pipe that make_slow_pipe made.
slowly() {
  "$@" <"$slow"
}

make_slow_pipe() {
  slow=$BATS_TEST_TMPDIR/slow
  mkfifo "$slow"
}

# collect: sets statuses, of everything that ran apart, sorted, once all has ended.
collect() {
  wait "${parts[@]}"
  parts=()
  statuses=$(sort -n "$BATS_TEST_TMPDIR"/parts/*/status | paste -s -d ' ')
}

# take PART: the reply of something that ran apart becomes the last reply.
take() {
  cp "$BATS_TEST_TMPDIR/parts/$1/reply" "$BATS_TEST_TMPDIR/parts/$1/stderr" "$BATS_TEST_TMPDIR/"
  status=$(<"$BATS_TEST_TMPDIR/parts/$1/status")
  read_reply
}

# use_shims: a directory in which every command that the scripts call is the shim.
use_shims() {
  shims=$BATS_FILE_TMPDIR/shims
  [ ! -d "$shims" ] || return 0
  mkdir -p "$shims"
  local command
  for command in base64 cat chmod comm cut date flock grep head ls mv openssl openvpn perl rm sed sort stat sync touch tr; do
    ln -s "$room/tests/shims/interrupt" "$shims/$command"
  done
}

# with_shim MODE N COMMAND...: COMMAND, interrupted at the N-th command that it calls.
# Fails when it calls fewer. Sets status.
with_shim() {
  local shim=$BATS_TEST_TMPDIR/shim path=$PATH
  rm -rf "$shim"
  mkdir "$shim"
  : >"$shim/calls"
  status=0
  # shellcheck disable=SC2016 # for the inner shell
  SHIM=$shim SHIM_MODE=$1 SHIM_AT=$2 SHIM_PATH=$path PATH=$shims:$path \
    bash -c 'echo $$ >"$SHIM/victim"; exec "$@"' - "${@:3}" || status=$?
  [ -e "$shim/fired" ]
}

# interrupted MODE N: the request on standard input. There may be no reply.
interrupted() {
  with_shim "$1" "$2" "$shell" "$libexec/vpn-host" "$state" 2>"$BATS_TEST_TMPDIR/stderr" >"$BATS_TEST_TMPDIR/reply"
}
