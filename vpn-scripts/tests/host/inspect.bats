#!/usr/bin/env bats
# hello, list, check: what the host says about itself.

setup_file() {
  load ../helper
  make_template
}

setup() {
  load ../helper
  use_template
}

verb() { serve < <(request "verb=$1"); }

@test "hello tells when OpenVPN's configuration is another one, or lost" {
  serve < <(request verb=hello)
  local before
  before=$(value config_sha256)
  [ "$before" = "$(sha256sum <"$state/server/openvpn.conf" | cut -d ' ' -f 1)" ]
  echo 'duplicate-cn' >>"$state/server/openvpn.conf"
  serve < <(request verb=hello)
  [ "$(value config_sha256)" != "$before" ]
  rm "$state/server/openvpn.conf"
  serve < <(request verb=hello)
  expect 0
  [ "$(value config_sha256)" = missing ]
}

@test "hello gives version, capabilities, identity and the CRL's times" {
  verb hello
  expect 0
  [ "$(value version)" = 1 ]
  [ "$(value capabilities)" = issue,sign,ack,revoke,crl,kill,sessions,list,inventory,owner,check,ccd,ends,proofs,published ]
  [[ $(value host_id) =~ ^[0-9a-f]{32}$ ]]
  [ "$(value ca_sha256)" = "$(openssl x509 -in "$state/ca/ca.crt" -outform DER | sha256sum | cut -d ' ' -f 1)" ]
  [ "$(value crl_number)" = "$(stat -c %Y "$state/pub/crl.pem")" ]
  [ "$(value crl_this_update)" = "$(value crl_number)" ]
  [ "$(value crl_next_update)" = "$(($(value crl_this_update) + 30 * 86400))" ]
  ends ca/ca.crt "$(value ca_not_after)"
  ends server/server.crt "$(value server_not_after)"
}

# ends FILE SECONDS: that is when the certificate ends.
ends() {
  [ "$(date -d "$(openssl x509 -in "$state/$1" -noout -enddate | sed 's/.*=//')" +%s)" = "$2" ]
}

@test "hello answers while another request holds the lock" {
  exec 8<"$state/lock"
  flock 8
  verb hello
  exec 8<&-
  expect 0
}

@test "hello on a host that is not set up, or damaged, tells the cure" {
  rm "$state/etc/host.conf"
  verb hello
  expect 70 'run install.sh'
  rm -rf "$state"
  verb hello
  expect 70 'run install.sh'
}

@test "damaged configuration is an alarm, and is never run" {
  local conf=$state/etc/host.conf
  cp "$conf" "$BATS_TEST_TMPDIR/good"
  for damage in ':' 'crl_days=x' 'crl_days=0' 'management=' 'host_id='; do
    grep -v "^${damage%%=*}=" "$BATS_TEST_TMPDIR/good" >"$conf" || :
    [ "$damage" = : ] && : >"$conf" || echo "$damage" >>"$conf"
    verb hello
    expect 70 damaged
  done
  { cat "$BATS_TEST_TMPDIR/good"; echo "x=\$(touch $BATS_TEST_TMPDIR/pwned)"; } >"$conf"
  verb hello
  expect 0
  [ ! -e "$BATS_TEST_TMPDIR/pwned" ]
}

@test "list names every serial, live and revoked" {
  verb list
  expect 0
  [ "$(payload_size)" -eq 0 ]
  [ "$(payload)" = '' ]
  issue
  serial=$other_serial name=bob client=$other_client
  issue
  ask revoke
  verb list
  expect 0
  [ "$(payload)" = "live 41234567890ABCDEF01234567890ABCD alice"$'\n'"revoked $other_serial bob" ]
}

@test "list shows a name that was used twice with both serials" {
  issue
  ask revoke
  serial=$other_serial client=$other_client
  issue
  verb list
  [ "$(payload)" = "live $other_serial alice"$'\n'"revoked 41234567890ABCDEF01234567890ABCD alice" ]
}

@test "list is right for many" {
  local i hex
  for ((i = 1; i <= 400; i++)); do
    printf -v hex '1%031X' "$i"
    echo "$hex" >"$state/names/c$i"
    : >"$state/issued/$hex"
  done
  verb list
  expect 0
  [ "$(payload | wc -l)" -eq 400 ]
  [ "$(payload | sort -u | wc -l)" -eq 400 ]
  payload | grep -qx "live 10000000000000000000000000000190 c400"
}

@test "check has nothing to say about a good host" {
  issue
  ask revoke
  verb check
  expect 0
  [ "$(value crl_next_update)" -gt "$EPOCHSECONDS" ]
}

# problem TEXT COMMAND: COMMAND in the state directory makes check say TEXT.
problem() {
  rm -rf "$state"
  cp -a "$BATS_TEST_TMPDIR/good" "$state"
  echo "# $2"
  (cd "$state" && eval "$2")
  verb check
  expect 70 "$1"
}

@test "check finds what is wrong, and names the cure" {
  issue
  ask revoke
  cp -a "$state" "$BATS_TEST_TMPDIR/good"
  problem 'is lost' 'rm ca/ca.key'
  problem 'is lost' 'rm revoked.log'
  problem 'mode 644; chmod it to 600' 'chmod 644 ca/ca.key'
  problem 'mode 755; chmod it to 700' 'chmod 755 issued'
  problem 'mode 700; chmod it to 755' 'chmod 700 pub'
  problem 'mode 700; chmod it to 711' 'chmod 700 .'
  problem 'does not verify against the CA' 'openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc -keyout ca/ca.key -subj /CN=x -out ca/ca.crt 2>/dev/null'
  problem 'does not belong' 'openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out ca/ca.key'
  problem 'ca.key is damaged' ': >ca/ca.key'
  problem 'does not verify' ': >pub/crl.pem'
  problem 'does not verify' 'sed -i 3d pub/crl.pem'
  problem 'does not verify' 'rm pub/crl.pem'
  problem 'lacks revoked serials' "echo 'x $client 1' >revoked/$other_serial"
  problem 'missing or closed' 'rm -r intent'
}

@test "check finds an expired CRL, and crl cures it" {
  local ca=$BATS_TEST_TMPDIR/ca
  mkdir "$ca"
  : >"$ca/index.txt"
  printf '01\n' >"$ca/number"
  printf '[ca]\ndefault_ca=c\n[c]\ndatabase=%s/index.txt\ncrlnumber=%s/number\ndefault_md=sha256\n' "$ca" "$ca" >"$ca/cnf"
  openssl ca -config "$ca/cnf" -cert "$state/ca/ca.crt" -keyfile "$state/ca/ca.key" -gencrl -crlsec 1 -out "$state/pub/crl.pem" 2>/dev/null
  expired() { openssl crl -in "$state/pub/crl.pem" -noout -nextupdate | { IFS='=' read -r _ at; [ "$(date -d "$at" +%s)" -lt "$(date +%s)" ]; }; }
  wait_for 'the CRL to expire' expired
  verb check
  expect 70 'has expired'
  verb crl
  expect 0
  verb check
  expect 0
}

@test "check finds another owner" {
  chown 65534 "$state/ca/ca.key"
  verb check
  expect 70 'another user'
}
