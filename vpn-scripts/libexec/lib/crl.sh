# shellcheck shell=sh
# shellcheck disable=SC2154 # shared with the other parts
# The certificate revocation list, made by the crl helper: whole, proven, then renamed
# into place.

verb_crl() {
  crl_publish renew
  reply_begin
  reply_field crl_number "$crl_number"
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

# crl_publish renew | ensure SERIAL | look | list SERIAL. Sets crl_number, crl_next and crl_word.
crl_publish() {
  conf_read
  crl_said=$(perl "$lib/../crl" "$PWD" "$conf_crl_days" "${conf_openvpn_user:-root}" "$@") || die 70 'the crl helper failed; its message is on standard error'
  case $crl_said in
    '0 '*) ;;
    [1-9]?' '*)
      cat tmp/.openssl.err >&2 2>/dev/null || :
      die "${crl_said%% *}" "${crl_said#* }"
      ;;
    *) die 70 'the crl helper gave no answer; its message is on standard error' ;;
  esac
  crl_said=${crl_said#0 }
  crl_number=${crl_said%% *}
  crl_word=${crl_said##* }
  crl_next=${crl_said#* }
  crl_next=${crl_next% *}
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
  printf '30210210%s170D%s5A\n' "$1" "$crl_hex" >>revoked.log || write_failed
}

# crl_holds FILE. "openssl crl" ends with 0 when the signature is wrong:
# its message tells. Leaves the text in tmp/crl.text.
crl_holds() {
  openssl crl -in "$1" -CAfile ca/ca.crt -noout -text -out tmp/crl.text 2>tmp/.openssl.err || return 1
  crl_verdict=
  IFS= read -r crl_verdict <tmp/.openssl.err || :
  [ "$crl_verdict" = 'verify OK' ]
}

crl_next_update() { # FILE -> crl_next, epoch seconds
  crl_next=$(openssl crl -in "$1" -noout -nextupdate 2>/dev/null) || die 70 "$1 is damaged; the verb crl makes a new one"
  crl_next=$(date -u -d "${crl_next#nextUpdate=}" +%s) || die 70 "$1 is damaged; the verb crl makes a new one"
}
