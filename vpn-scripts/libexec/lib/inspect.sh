# shellcheck shell=sh
# shellcheck disable=SC2154 # shared with the other parts
# Verbs that change nothing: hello, list, check.

verb_hello() {
  conf_read
  inspect_ends
  hello_ca=$(openssl x509 -in ca/ca.crt -noout -fingerprint -sha256 2>/dev/null) || die 70 'ca/ca.crt is damaged; restore it from the backup'
  hello_bytes=
  IFS=:
  for hello_byte in ${hello_ca#*=}; do hello_bytes="$hello_bytes 0x$hello_byte"; done
  unset IFS
  # shellcheck disable=SC2086 # one argument per byte
  hello_ca=$(printf '%02x' $hello_bytes)
  # OpenVPN may run with a file that is lost by now; check has its own words for that.
  hello_config=$(sha256sum server/openvpn.conf 2>/dev/null) || hello_config=missing
  crl_read_number
  crl_validity pub/crl.pem
  reply_begin
  reply_field version 1
  reply_field capabilities issue,sign,ack,revoke,crl,kill,sessions,list,inventory,owner,check,ccd,ends,proofs,published
  reply_field host_id "$conf_host_id"
  reply_field ca_sha256 "$hello_ca"
  reply_field crl_number "$crl_number"
  reply_field crl_this_update "$crl_begins"
  reply_field crl_next_update "$crl_next"
  reply_field ca_not_after "$inspect_ca"
  reply_field server_not_after "$inspect_server"
  reply_field config_sha256 "${hello_config%% *}"
  reply_send
}

# When the certificates of the CA and of the server end, in seconds since the epoch.
inspect_ends() {
  inspect_ca=$(openssl x509 -in ca/ca.crt -noout -enddate 2>/dev/null) || die 70 'ca/ca.crt is damaged; restore it from the backup'
  inspect_server=$(openssl x509 -in server/server.crt -noout -enddate 2>/dev/null) ||
    die 70 'server/server.crt is damaged; remove it, then run install.sh'
  inspect_ca=$(date -u -d "${inspect_ca#*=}" +%s) || die 70 'ca/ca.crt is damaged; restore it from the backup'
  inspect_server=$(date -u -d "${inspect_server#*=}" +%s) || die 70 'server/server.crt is damaged; remove it, then run install.sh'
}

# Names come from their files, never from the certificates: a grep over the
# directory reads them all in one process.
verb_list() {
  grep -r '' names >tmp/names || [ $? -eq 1 ] || die 74 'the directory names cannot be read; check the disk'
  grep -r '' revoked >tmp/buried || [ $? -eq 1 ] || die 74 'the directory revoked cannot be read; check the disk'
  {
    while IFS=: read -r list_name list_serial; do
      if [ -e "issued/$list_serial" ] && [ ! -e "revoked/$list_serial" ]; then
        echo "live $list_serial ${list_name#names/}"
      fi
    done <tmp/names
    while IFS=' ' read -r list_name _; do
      list_serial=${list_name%%:*}
      echo "revoked ${list_serial#revoked/} ${list_name#*:}"
    done <tmp/buried
  } >tmp/unsorted || write_failed
  sort -o tmp/list tmp/unsorted || write_failed
  reply_begin
  reply_file tmp/list
}

# check: the first problem, with its cure. Ordered from what keeps everybody out
# to what will, one day.
verb_check() {
  conf_read
  check_modes
  check_ca
  check_crl
  check_admitted
  inspect_ends
  reply_begin
  reply_field crl_number "$crl_number"
  reply_field crl_next_update "$crl_next"
  reply_field ca_not_after "$inspect_ca"
  reply_field server_not_after "$inspect_server"
  reply_send
}

check_modes() {
  check_me=$(id -u) || die 70 'the own user id cannot be read'
  # shellcheck disable=SC2086 # a list of plain names
  check_modes=$(stat -c '%n %a %u' . $state_dirs ca/ca.key server/server.key server/tls-crypt-v2.key lock revoked.log) ||
    die 70 'a file of the state directory is lost; restore it from the backup'
  while read -r check_file check_mode check_owner; do
    case $check_file in
      . | pub/admitted | pub/ccd) check_wants=711 ;;
      pub) check_wants=755 ;;
      */* | lock | revoked.log) check_wants=600 ;;
      *) check_wants=700 ;;
    esac
    [ "$check_owner" = "$check_me" ] || die 70 "$check_file belongs to another user; chown it to the owner of the state directory"
    [ "$check_mode" = "$check_wants" ] || die 70 "$check_file has mode $check_mode; chmod it to $check_wants"
  done <<END
$check_modes
END
}

check_ca() {
  # A CA that was taken over is as strict as those who made it.
  check_strict=-x509_strict
  [ ! -e etc/adopted ] || check_strict=-partial_chain
  openssl verify "$check_strict" -CAfile ca/ca.crt server/server.crt >/dev/null 2>tmp/.openssl.err ||
    die 70 'the server certificate does not verify against the CA; restore ca/ and server/ from the backup'
  check_public=$(openssl x509 -in ca/ca.crt -noout -pubkey 2>/dev/null) || die 70 'ca/ca.crt is damaged; restore it from the backup'
  check_private=$(openssl pkey -in ca/ca.key -pubout 2>/dev/null) || die 70 'ca/ca.key is damaged; restore it from the backup'
  [ "$check_public" = "$check_private" ] || die 70 'ca/ca.key does not belong to ca/ca.crt; restore both from one backup'
  openssl x509 -in server/server.crt -noout -checkend 1209600 >/dev/null 2>&1 ||
    die 70 'the server certificate ends within 14 days; remove server/server.crt, then run install.sh'
  openssl x509 -in ca/ca.crt -noout -checkend 31536000 >/dev/null 2>&1 ||
    die 70 'the CA ends within a year; set up a new host and move its clients'
}

check_crl() {
  crl_holds pub/crl.pem || die 70 'pub/crl.pem does not verify and OpenVPN may refuse everybody; the verb crl makes a new one'
  crl_publish look
  check_now=$(date +%s) || die 70 'the clock cannot be read'
  [ "$check_now" -lt "$crl_next" ] || die 70 'the CRL has expired and OpenVPN refuses everybody; the verb crl makes a new one'
  ls revoked >tmp/tombstones || die 70 'the directory revoked cannot be read; check the disk'
  # With the zeros before it that a certificate has not.
  sed -n '/^ *Serial Number: /{s//00000000000000000000000000000000/;s/.*\(.\{32\}\)$/\1/p;}' tmp/crl.text >tmp/unsorted || write_failed
  sort -o tmp/known tmp/unsorted || write_failed
  comm -23 tmp/tombstones tmp/known >tmp/missing || write_failed
  [ ! -s tmp/missing ] || die 70 'the CRL lacks revoked serials; the verb crl makes a new one'
}

# What OpenVPN asks before TLS says the same as the tombstones and the profiles.
check_admitted() {
  ls pub/admitted >tmp/admitted || die 70 'the directory pub/admitted cannot be read; check the disk'
  comm -12 tmp/tombstones tmp/admitted >tmp/missing || write_failed
  [ ! -s tmp/missing ] || die 70 'pub/admitted has revoked serials; run install.sh, which takes them away'
  ls issued >tmp/known || die 70 'the directory issued cannot be read; check the disk'
  comm -23 tmp/known tmp/admitted >tmp/missing || write_failed
  [ ! -s tmp/missing ] || die 70 'pub/admitted lacks issued serials, which OpenVPN refuses; run install.sh, which puts them back'
}
