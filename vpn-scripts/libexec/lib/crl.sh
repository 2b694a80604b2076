# shellcheck shell=sh
# shellcheck disable=SC2154 # shared with the other parts
# The certificate revocation list: made whole, proven, then renamed into place.
#
# OpenVPN refuses everybody when the list is expired or damaged, and lets the
# revoked in when it cannot reach a newer one, so every step here either succeeds
# or ends the request. No pipelines: they would hide a killed grep, and a list
# with entries missing would be published.

verb_crl() {
  crl_publish ''
  crl_next_update pub/crl.pem
  reply_begin
  reply_field crl_number "$crl_number"
  reply_field crl_next_update "$crl_next"
  reply_send
}

# crl_publish SERIAL: SERIAL, unless empty, must be in it. Sets crl_number.
crl_publish() {
  conf_read
  crl_reachable
  crl_index
  crl_now=$(date +%s) || die 70 'the clock cannot be read'
  crl_number=0
  [ ! -e pub/crl.pem ] || crl_read_number
  # OpenVPN notices a new file by its time in whole seconds, and CRL numbers must
  # rise: one value for both, ahead of the clock when revocations come in bursts.
  crl_number=$((crl_number + 1))
  [ "$crl_now" -lt "$crl_number" ] || crl_number=$crl_now
  crl_hex=$(printf '%016X' "$crl_number")
  write tmp/crlnumber "$crl_hex"
  openssl ca -config etc/openssl.cnf -gencrl -crldays "$conf_crl_days" -out tmp/crl.pem >/dev/null 2>tmp/openssl.err ||
    openssl_failed 'make the CRL'
  crl_verify tmp/crl.pem "$1"
  if ! chmod 644 tmp/crl.pem || ! touch -d "@$crl_number" tmp/crl.pem; then write_failed; fi
  sync tmp/crl.pem || write_failed # not -d: the time is part of it
  mv -fT tmp/crl.pem pub/crl.pem || write_failed
  sync pub || write_failed
}

crl_read_number() {
  crl_number=$(stat -c %Y pub/crl.pem) || die 70 'pub/crl.pem cannot be read; run check'
}

# crl_index: tmp/index.txt, one line per revoked serial. A line that a power cut
# tore, or that a killed run wrote twice, is left out; a tombstone whose line is
# missing gets it back, so the list never falls behind the tombstones.
crl_index() {
  crl_good="R${TAB}[0-9]{12}Z${TAB}[0-9]{12}Z${TAB}[1-7][0-9A-F]{31}${TAB}unknown${TAB}/CN=[A-Za-z0-9_-]+"
  grep -Ex "$crl_good" revoked.log >tmp/lines || [ $? -eq 1 ] || die 74 'revoked.log cannot be read; check the disk'
  sort -t "$TAB" -k 4,4 -u -o tmp/index.txt tmp/lines || write_failed
  ls revoked >tmp/tombstones || die 74 'the directory revoked cannot be read; check the disk'
  cut -f 4 tmp/index.txt >tmp/known || write_failed
  comm -23 tmp/tombstones tmp/known >tmp/missing || write_failed
  [ -s tmp/missing ] || return 0
  while IFS= read -r crl_serial; do
    crl_relog "$crl_serial"
  done <tmp/missing
  sync -d revoked.log tmp/index.txt || write_failed
}

crl_relog() { # SERIAL
  case $1 in [!1-7]* | *[!0-9A-F]*) die 70 'a file in revoked/ has a name that is no serial; take it away' ;; esac
  crl_name='' crl_epoch=''
  read -r crl_name _ crl_epoch <"revoked/$1" || :
  case $crl_name:$crl_epoch in
    : | *: | :* | *[!A-Za-z0-9_-]*:* | *:*[!0-9]*) die 70 "revoked/$1 is damaged; restore it from the backup" ;;
  esac
  crl_stamp=$(date -u -d "@$crl_epoch" +%y%m%d%H%M%SZ) || die 70 "revoked/$1 is damaged; restore it from the backup"
  crl_line "$crl_stamp" "$1" "$crl_name"
  printf '\n%s\n' "$crl_text" >>revoked.log || write_failed
  printf '%s\n' "$crl_text" >>tmp/index.txt || write_failed
}

# A line of OpenSSL's index: revoked, expiry (never used), when, serial, subject.
crl_line() { # STAMP SERIAL NAME
  crl_text="R${TAB}491231235959Z$TAB$1$TAB$2${TAB}unknown$TAB/CN=$3"
}

# crl_verify FILE SERIAL: signed by our CA, complete, and SERIAL in it.
crl_verify() {
  crl_holds "$1" "$2" || die 69 'the CRL that OpenSSL made does not verify or lacks entries; run check, then repeat the request'
  crl_have=$(grep -c 'Serial Number: ' tmp/crl.text) || [ $? -eq 1 ] || die 74 'the CRL cannot be read back; check the disk'
  crl_want=$(grep -c '' tmp/index.txt) || [ $? -eq 1 ] || die 74 'the list of serials cannot be read back; check the disk'
  [ "$crl_have" -eq "$crl_want" ] || die 69 'the CRL that OpenSSL made lacks entries; run check, then repeat the request'
}

# crl_holds FILE SERIAL. "openssl crl" ends with 0 when the signature is wrong:
# its message tells. Leaves the text in tmp/crl.text.
crl_holds() {
  openssl crl -in "$1" -CAfile ca/ca.crt -noout -text -out tmp/crl.text 2>tmp/openssl.err || return 1
  crl_verdict=
  IFS= read -r crl_verdict <tmp/openssl.err || :
  [ "$crl_verdict" = 'verify OK' ] || return 1
  [ -z "$2" ] || grep -q "Serial Number: $2\$" tmp/crl.text
}

crl_next_update() { # FILE -> crl_next, epoch seconds
  crl_next=$(openssl crl -in "$1" -noout -nextupdate 2>/dev/null) || die 70 "$1 is damaged; the verb crl makes a new one"
  crl_next=$(date -u -d "${crl_next#nextUpdate=}" +%s) || die 70 "$1 is damaged; the verb crl makes a new one"
}

# OpenVPN reads the list after it dropped its rights, at every connection. When a
# directory on the way is closed to it, the old list stays in force.
crl_reachable() {
  case $conf_openvpn_user in root | "") return 0 ;; esac
  crl_path=$PWD/pub
  set -- "$crl_path"
  while [ -n "${crl_path%/*}" ]; do
    crl_path=${crl_path%/*}
    set -- "$@" "$crl_path"
  done
  crl_modes=$(stat -c %a / "$@") || die 70 'a directory above the CRL cannot be examined; check the path'
  for crl_mode in $crl_modes; do
    case $crl_mode in
      *[1357]) ;;
      *) die 70 "OpenVPN's user cannot reach $PWD/pub/crl.pem; chmod o+x every directory on that path" ;;
    esac
  done
}
