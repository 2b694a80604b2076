# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # shared with setup
# The CA, the server and the certificates of an easy-rsa PKI, taken over as they are.

# adopt_ca: the PKI's CA becomes this host's. Every file is written in the form that the
# other parts read.
adopt_ca() {
  for adopt_file in ca.crt private/ca.key index.txt; do
    [ -r "$adopt/$adopt_file" ] || die 66 "--adopt: $adopt/$adopt_file cannot be read; give the directory that easy-rsa calls pki"
  done
  openssl x509 -in "$adopt/ca.crt" -out tmp/ca.crt 2>tmp/.openssl.err || die 65 '--adopt: ca.crt is no certificate'
  if [ -e ca/ca.crt ]; then
    cmp -s tmp/ca.crt ca/ca.crt ||
      die 65 'this state directory has a CA of its own, which cannot be exchanged; adopt into a new one, with --state'
    return 0
  fi
  adopt_key "$adopt/private/ca.key" tmp/ca.key
  adopt_public=$(openssl x509 -in tmp/ca.crt -noout -pubkey 2>/dev/null) || die 65 '--adopt: ca.crt is no certificate'
  adopt_private=$(openssl pkey -in tmp/ca.key -pubout 2>/dev/null) || die 65 '--adopt: private/ca.key is no key'
  [ "$adopt_public" = "$adopt_private" ] || die 65 '--adopt: private/ca.key does not belong to ca.crt'
  case $(openssl pkey -in tmp/ca.key -noout -text 2>/dev/null) in
    *modulus:* | *'ASN1 OID: '*) ;;
    *) die 65 '--adopt: the key of the CA is neither RSA nor ECDSA; this version cannot make a CRL with it' ;;
  esac
  openssl x509 -in tmp/ca.crt -noout -ext subjectKeyIdentifier 2>/dev/null | grep -qE '^ *([0-9A-F]{2}:){19}[0-9A-F]{2}$' ||
    die 65 '--adopt: ca.crt has no subject key identifier of 20 bytes; this version cannot make a CRL with it'
  openssl x509 -in tmp/ca.crt -noout -fingerprint -sha256 >tmp/adopted || write_failed
  sync tmp/ca.key tmp/ca.crt tmp/adopted
  # By it, check knows that the CA is none that setup has made.
  commit tmp/adopted etc/adopted
  commit tmp/ca.key ca/ca.key
  commit tmp/ca.crt ca/ca.crt
}

adopt_key() { # FROM TO
  openssl pkey -in "$1" -passin pass: -out "$2" 2>tmp/.openssl.err ||
    die 65 "--adopt: $1 is no key, or has a passphrase, which nobody would be there to type; take it off in a copy (openssl pkey -in ca.key -out ca.key.plain) and give that PKI"
}

# adopt_server: the certificate by which clients know the server goes on, if there is one that is
# named, and its key is there.
adopt_server() {
  [ -n "$adopt_server_name" ] || return 0
  case $adopt_server_name in *[!A-Za-z0-9._-]* | [!A-Za-z0-9]*) bad '--adopt-server must be a plain name' ;; esac
  openssl x509 -in "$adopt/issued/$adopt_server_name.crt" -out tmp/server.crt 2>tmp/.openssl.err ||
    die 66 "--adopt-server: $adopt/issued/$adopt_server_name.crt is no certificate"
  if [ -e server/server.crt ]; then
    # It may have been made anew since.
    cmp -s tmp/server.crt server/server.crt ||
      printf '  left: the certificate of the server %s: this host has another one, which goes on\n' "$adopt_server_name"
    return 0
  fi
  openssl verify -partial_chain -CAfile ca/ca.crt -purpose sslserver tmp/server.crt >/dev/null 2>tmp/.openssl.err ||
    die 65 "--adopt-server: $adopt_server_name is not the valid certificate of a server"
  adopt_key "$adopt/private/$adopt_server_name.key" tmp/server.key
  adopt_public=$(openssl x509 -in tmp/server.crt -noout -pubkey 2>/dev/null) || die 65 '--adopt-server: no certificate'
  adopt_private=$(openssl pkey -in tmp/server.key -pubout 2>/dev/null) || die 65 '--adopt-server: no key'
  [ "$adopt_public" = "$adopt_private" ] || die 65 '--adopt-server: the key does not belong to the certificate'
  adopt_subject=$(openssl x509 -in tmp/server.crt -noout -subject -nameopt multiline 2>/dev/null | sed -n 's/^ *commonName *= //p')
  case $adopt_subject in '' | *[!A-Za-z0-9._-]*) die 65 '--adopt-server: its common name cannot stand in profiles; leave the option out, and a new one is made' ;; esac
  write tmp/server-name "$adopt_subject"
  sync tmp/server.key tmp/server.crt
  commit tmp/server-name etc/server-name
  commit tmp/server.key server/server.key
  commit tmp/server.crt server/server.crt
}

# adopt_tls_key FILE TARGET: the key that all existing clients share. Not for profiles of new ones.
adopt_tls_key() {
  [ -n "$1" ] || return 0
  grep -q '^-----BEGIN OpenVPN Static key V1-----' "$1" 2>/dev/null || die 66 "$1 is not a key that \"openvpn --genkey secret\" has made"
  sed -n '/^-----BEGIN/,/^-----END/p' "$1" >tmp/tls.key || write_failed
  commit tmp/tls.key "$2"
}

adopt_certificates() {
  adopt_said=$("$scripts_now/adopt" "$adopt") || die 70 'the adopt helper failed; its message is above'
  case $adopt_said in
    '0 '*) ;;
    *) die "${adopt_said%% *}" "${adopt_said#* }" ;;
  esac
  # shellcheck disable=SC2086 # four numbers
  set -- $adopt_said
  printf 'adopted: %s new clients, %s revoked; left: %s\n' "$2" "$3" "$4"
  set +f
  for adopt_foreign in foreign/*; do
    [ -e "$adopt_foreign" ] || continue
    read -r adopt_why adopt_name <"$adopt_foreign" || :
    case $adopt_why in
      name) adopt_why='no client can have this name' ;;
      taken) adopt_why='another certificate has this name' ;;
      *) adopt_why='its file is lost' ;;
    esac
    printf '  left: %s %s: %s; it is let in. To end it, as the owner of the state directory: %s/setup --state %s --revoke-foreign %s\n' \
      "$adopt_name" "${adopt_foreign##*/}" "$adopt_why" "$scripts_now" "$state" "${adopt_foreign##*/}"
  done
  set -f
}

# A certificate in foreign/ ends: the platform cannot, because no client has its name.
revoke_foreign() {
  serial=$revoke_foreign
  case $serial in *[!0-9A-F]*) bad '--revoke-foreign must be a serial: 32 upper-case hex digits' ;; esac
  [ ! -e "issued/$serial" ] || die 65 "$serial is a client's; revoke it through the platform"
  [ -e "foreign/$serial" ] || [ -e "revoked/$serial" ] || die 65 "$serial is not in foreign/; revoke clients through the platform"
  if [ ! -e "revoked/$serial" ]; then
    revoke_now=$(date -u '+%s') || die 70 'the clock cannot be read'
    write tmp/tombstone "- - $revoke_now"
    commit tmp/tombstone "revoked/$serial"
  fi
  rm -f "foreign/$serial" || write_failed
  crl_publish renew
  printf 'revoked=%s\nIts session, if it has one, goes on until it renegotiates: restart OpenVPN to end it at once.\n' "$serial"
}
