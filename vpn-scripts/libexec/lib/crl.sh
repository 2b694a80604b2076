# shellcheck shell=sh
# shellcheck disable=SC2154 # shared with the other parts
# The certificate revocation list, made by the crl helper: whole, proven, then renamed
# into place.

verb_crl() {
  crl_publish renew
  reply_begin
  reply_field crl_number "$crl_number"
  reply_field crl_this_update "$crl_begins"
  reply_field crl_next_update "$crl_next"
  reply_send
}

# Verb published: which serials the CRL in force has, a page from the one that was asked for.
verb_published() {
  crl_publish list "$serial"
  reply_begin
  reply_field crl_number "$crl_number"
  reply_field next "$crl_word"
  reply_file tmp/list
}

# crl_publish renew | ensure SERIAL | look | list SERIAL. Sets crl_number, crl_begins, crl_next and crl_word.
crl_publish() {
  conf_read
  crl_said=$(perl "$lib/../crl" "$PWD" "$conf_crl_days" "${conf_openvpn_user:-root}" "$@") || crl_failed
  case $crl_said in
    '0 '*) ;;
    [1-9]?' '*)
      cat tmp/.openssl.err >&2 2>/dev/null || :
      die "${crl_said%% *}" "${crl_said#* }"
      ;;
    *) die 70 'the crl helper gave no answer; its message is on standard error' ;;
  esac
  # shellcheck disable=SC2086 # five words
  set -- $crl_said
  crl_number=$2 crl_begins=$3 crl_next=$4 crl_word=$5
}

crl_failed() {
  case $crl_said in '0 '*) write_failed ;; esac
  die 70 'the crl helper failed; its message is on standard error'
}

crl_read_number() {
  crl_number=$(stat -c %Y pub/crl.pem) || die 70 'pub/crl.pem cannot be read; run check'
}

# crl_log SERIAL STAMP: the entry for a list, in hexadecimal; see the helper. STAMP is
# YYMMDDHHMMSS.
crl_log() {
  crl_left=$2 crl_hex=
  while [ -n "$crl_left" ]; do
    crl_rest=${crl_left#?}
    crl_hex=${crl_hex}3${crl_left%"$crl_rest"}
    crl_left=$crl_rest
  done
  crl_integer "$1"
  printf '30%02X02%02X%s170D%s5A\n' "$((crl_bytes + 17))" "$crl_bytes" "$crl_integer" "$crl_hex" >>revoked.log || write_failed
}

# crl_integer SERIAL: as certificates have it, positive and in as few bytes as it needs, into
# crl_integer, and how many into crl_bytes.
crl_integer() {
  crl_integer=$1
  while [ "${#crl_integer}" -gt 2 ] && [ "${crl_integer#00}" != "$crl_integer" ]; do crl_integer=${crl_integer#00}; done
  case $crl_integer in [89A-F]*) crl_integer=00$crl_integer ;; esac
  crl_bytes=$((${#crl_integer} / 2))
}

# crl_holds FILE. "openssl crl" ends with 0 when the signature is wrong:
# its message tells. Leaves the text in tmp/crl.text.
crl_holds() {
  openssl crl -in "$1" -CAfile ca/ca.crt -noout -text -out tmp/crl.text 2>tmp/.openssl.err || return 1
  crl_verdict=
  IFS= read -r crl_verdict <tmp/.openssl.err || :
  [ "$crl_verdict" = 'verify OK' ]
}

# crl_validity FILE: from when until when the list is valid, into crl_begins and crl_next, in seconds
# since the epoch. It ends at 0 when it is not valid yet: OpenVPN refuses everybody as if it had ended.
crl_validity() {
  crl_times=$(openssl crl -in "$1" -noout -lastupdate -nextupdate 2>/dev/null) || die 70 "$1 is damaged; the verb crl makes a new one"
  crl_begins=${crl_times%%"$NL"*}
  # One process for all three.
  crl_times=$(
    date -u -f - +%s <<END
${crl_begins#*=}
${crl_times##*=}
now
END
  ) || die 70 "$1 is damaged; the verb crl makes a new one"
  # shellcheck disable=SC2086 # three numbers
  set -- $crl_times
  crl_begins=$1 crl_next=$2
  [ "$crl_begins" -le "$3" ] || crl_next=0
}
