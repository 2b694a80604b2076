# shellcheck shell=sh
# shellcheck disable=SC2154 # fields of the request
# Verbs issue, sign and ack.
#
# Nothing leaves the host before its profile is at issued/SERIAL, for good. A run
# that dies earlier has made nothing that anybody saw, so the next one may make
# it anew; a run that dies later is answered from the file.

certificate=''
key=''

# Before the lock is taken, because these two take most of an issue's time: only name, serial
# and days go into them, and they are seen by nobody before issue_commit. Who finds the serial
# issued or revoked under the lock has no use for them. A failure is met again under the lock,
# and told under its fence.
issue_prepare() {
  if [ -z "$days" ] || [ -e "issued/$serial" ] || [ -e "revoked/$serial" ]; then return 0; fi
  tls_crypt_make || tls_crypt_key=
  [ "$verb" = sign ] || certificate_make /dev/null || certificate=
}

verb_issue() {
  issue_kind=$verb
  # A new serial's fence comes into force together with its certificate.
  if [ -e "$fence_file" ]; then fence_store; fi
  [ ! -e "revoked/$serial" ] || die 66 'the serial is revoked for good; make a new client'
  if [ -z "$days" ]; then
    issue_again
    return
  fi
  issue_bind
  if [ -e "issued/$serial" ]; then
    profile_read
    issue_replay
  else
    "certificate_$verb"
    profile_make
    issue_commit
  fi
}

verb_sign() {
  verb_issue
}

# For a platform that does not know the terms any more: what was issued, whatever it was.
issue_again() {
  fence_store
  [ -e "issued/$serial" ] || die 65 'the serial was never issued on this host; issue it with days'
  [ -e "intent/$serial" ] || die 70 "intent/$serial is lost; restore it from the backup"
  owner_check "intent/$serial"
  read -r _ _ issue_kind _ <"intent/$serial" || :
  profile_read
  issue_replay
}

# A serial is bound to its first name, client and CSR, and to the terms of its first request;
# a name, and an address, to one live serial.
issue_bind() {
  issue_terms
  issue_intent="$name $client $verb $issue_terms"
  [ "$verb" = issue ] || issue_intent="$issue_intent$NL$csr_pem"
  if [ -e "intent/$serial" ]; then
    owner_check "intent/$serial"
    issue_found=$(cat "intent/$serial") || die 70 "intent/$serial cannot be read; check the disk"
    [ "$issue_found" = "$issue_intent" ] || issue_differs
  elif [ -e "issued/$serial" ]; then
    die 70 "intent/$serial is lost; restore it from the backup"
  fi
  if name_live; then
    refuse 65 "the name has the live serial $live_serial; revoke that client first"
  fi
  ccd_check
}

# Days, address and routes, in three words.
issue_terms() {
  issue_routes=
  for issue_route in $routes; do issue_routes=$issue_routes${issue_routes:+,}$issue_route; done
  issue_terms="$days ${address:--} ${issue_routes:--}"
}

# The intent is another one. Those of older versions do not tell the terms: then no address
# and no routes were asked for, and nobody knows how many days.
issue_differs() {
  issue_head=${issue_found%%"$NL"*}
  issue_csr=
  [ "$verb" = issue ] || issue_csr=$NL$csr_pem
  case "$issue_head " in "$name $client $verb "*) ;; *) issue_csr=none ;; esac
  [ "${issue_found#"$issue_head"}" = "$issue_csr" ] ||
    die 65 'the serial was used with another CSR, or without one; repeat the first request or make a new client'
  [ "$issue_head $address$routes" = "$name $client $verb " ] ||
    die 65 'the serial was first asked for with other days, another address or other routes; ask for those again, or revoke this client and make a new one'
}

# In one go, in this order: a profile is never without the binding of serial and name, nor
# those without their fence, and what OpenVPN looks at is there before anybody has a profile
# (to be admitted means nothing to a serial without one). A file system with a journal keeps
# the order through a power cut, and the directories are synced in the same one.
issue_commit() {
  write_empty tmp/admitted
  write tmp/profile "$profile"
  ccd_write
  issue_files="tmp/admitted tmp/profile $ccd_new"
  set --
  if [ -n "$fence_new" ]; then
    write tmp/fence "$fence $attempt"
    set -- tmp/fence "$fence_file"
    issue_files="$issue_files tmp/fence"
  fi
  set -- "$@" tmp/admitted "pub/admitted/$serial"
  if [ ! -e "intent/$serial" ]; then
    write tmp/intent "$issue_intent"
    set -- "$@" tmp/intent "intent/$serial"
    issue_files="$issue_files tmp/intent"
  fi
  if ! name_held; then
    write tmp/name "$serial"
    set -- "$@" tmp/name "names/$name"
    issue_files="$issue_files tmp/name"
  fi
  [ -z "$address" ] || set -- "$@" tmp/address "addresses/$address"
  if [ -n "$ccd_text" ]; then
    set -- "$@" tmp/ccd "pub/ccd/$name"
  elif [ -e "pub/ccd/$name" ]; then
    # What another holder of the name has left.
    set -- "$@" "pub/ccd/$name" ''
  fi
  set -- "$@" tmp/profile "issued/$serial" # the commit point
  # shellcheck disable=SC2086 # a list of plain names
  sync -d $issue_files || write_failed
  move "$@"
  issue_sync
  issue_reply 0
}

issue_sync() {
  sync fence pub/admitted intent names addresses pub/ccd issued || write_failed
}

issue_replay() {
  issue_replay_ccd
  [ -e "pub/admitted/$serial" ] || tls_crypt_admit
  if ! name_held; then
    write tmp/name "$serial"
    commit tmp/name "names/$name"
  fi
  # The run before may have died between its renames and this.
  issue_sync
  issue_reply 1
}

# What OpenVPN is to read was lost: it is made again.
issue_replay_ccd() {
  [ -n "$address$routes" ] || return 0
  if [ -e "pub/ccd/$name" ] && { [ -z "$address" ] || [ -e "addresses/$address" ]; }; then return 0; fi
  ccd_write
  # shellcheck disable=SC2086 # one or two plain names
  sync -d $ccd_new || write_failed
  set -- tmp/ccd "pub/ccd/$name"
  [ -z "$address" ] || set -- tmp/address "addresses/$address" "$@"
  move "$@"
}

issue_reply() { # REPLAYED
  issue_key=forgotten
  ! profile_whole || case $issue_kind in sign) issue_key=absent ;; *) issue_key=present ;; esac
  reply_begin
  reply_field name "$name"
  reply_field serial "$serial"
  reply_field replayed "$1"
  reply_field key "$issue_key"
  reply_payload "$profile"
}

certificate_issue() {
  [ -n "$certificate" ] || certificate_make tmp/.openssl.err || openssl_failed 'issue the certificate'
}

# certificate_make FILE: sets certificate and key, or fails; what OpenSSL has to say goes to FILE. One
# process makes both and hands them over a pipe: the key is on the disk in the profile only.
certificate_make() {
  certificate=$(openssl req -config etc/openssl.cnf -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -noenc \
    -keyout - -subj "/CN=$name" -set_serial "0x$serial" -CA ca/ca.crt -CAkey ca/ca.key \
    -days "$days" -extensions client -out - 2>"$1") || return 1
  key=${certificate%%-----BEGIN CERTIFICATE*}
  case $key in '-----BEGIN PRIVATE KEY-----'*'-----END PRIVATE KEY-----'"$NL") ;; *) return 1 ;; esac
  certificate=${certificate#"$key"}
  certificate_whole
}

certificate_whole() {
  case $certificate in '-----BEGIN CERTIFICATE-----'*'-----END CERTIFICATE-----') ;; *) return 1 ;; esac
}

# "x509 -req" refuses a request whose own signature is wrong ("req -verify"
# reports success), and takes neither subject nor extensions from it.
certificate_sign() {
  write tmp/csr "$csr_pem"
  sign_key
  certificate=$(openssl x509 -req -in tmp/csr -subj "/CN=$name" -set_serial "0x$serial" \
    -CA ca/ca.crt -CAkey ca/ca.key -sha256 -days "$days" -extfile etc/openssl.cnf -extensions client \
    -out - 2>tmp/.openssl.err) || sign_failed
  certificate_whole || openssl_failed 'sign the csr'
}

# Only keys of 128 bits of strength: P-256, P-384, Ed25519, RSA from 3072 bits on. The
# platform refuses others before; a platform that does not is no reason to sign them.
sign_key() {
  sign_public=$(openssl req -in tmp/csr -noout -pubkey 2>/dev/null) || refuse 64 'csr is not a certificate request; send the PEM body of one'
  write tmp/csr.pub "$sign_public"
  sign_text=$(openssl pkey -pubin -in tmp/csr.pub -noout -text 2>/dev/null) || sign_text=
  case $sign_text in
    'ED25519 Public-Key:'*) return ;;
    *'Public-Key: ('*' bit)'*'Modulus:'*)
      sign_bits=${sign_text#*Public-Key: (}
      sign_bits=${sign_bits%% *}
      case $sign_bits in '' | *[!0-9]* | ??????*) ;; *) [ "$sign_bits" -lt 3072 ] || return 0 ;; esac
      ;;
    *"${NL}ASN1 OID: prime256v1$NL"* | *"${NL}ASN1 OID: secp384r1$NL"*) return ;;
  esac
  refuse 64 'the key of the csr must be ECDSA on P-256 or P-384, Ed25519, or RSA of at least 3072 bits'
}

# Is it the request or the host? Only the second is worth a retry.
sign_failed() {
  openssl req -in tmp/csr -noout -verify >tmp/csr.err 2>&1 || refuse 64 'csr is not a certificate request; send the PEM body of one'
  if grep -qi 'verif.*fail\|signature.*error' tmp/csr.err; then
    refuse 64 'the signature of the csr is wrong; it must be made by the key that it holds'
  fi
  openssl_failed 'sign the csr'
}

# The keys are the last blocks, so that forgetting them is cutting the end.
profile_make() {
  tls_crypt_issue
  [ -r etc/profile.part ] || die 70 'etc/profile.part is lost; run install.sh again'
  profile="# vpn-host $serial $name$NL"
  while IFS= read -r profile_line; do profile=$profile$profile_line$NL; done <etc/profile.part
  profile="$profile<cert>$NL$certificate$NL</cert>"
  profile="$profile$NL<tls-crypt-v2>$NL$tls_crypt_key$NL</tls-crypt-v2>"
  [ -z "$key" ] || profile="$profile$NL<key>$NL$key</key>"
}

profile_read() {
  profile=$(cat "issued/$serial") || die 70 "issued/$serial cannot be read; check the disk"
  case $profile in
    "# vpn-host $serial $name$NL"*"$NL</cert>" | "# vpn-host $serial $name$NL"*"$NL</tls-crypt-v2>" | "# vpn-host $serial $name$NL"*"$NL</key>") ;;
    *) die 70 "issued/$serial is damaged; restore it from the backup" ;;
  esac
}

# Profiles of hosts that had one tls-crypt key for all have none of their own: with "sign"
# there is nothing secret in those.
profile_whole() {
  case $issue_kind:$profile in
    *"$NL<tls-crypt-v2>$NL"* | *"$NL<key>$NL"* | sign:*"$NL<tls-crypt>$NL"*) ;;
    *) return 1 ;;
  esac
}

# The platform has stored the profile: the host forgets the keys in it.
verb_ack() {
  [ ! -e "revoked/$serial" ] || die 66 'the serial is revoked; its profile and key are gone'
  [ -e "issued/$serial" ] || die 65 'the serial was never issued on this host; issue it first'
  [ -e "intent/$serial" ] || die 70 "intent/$serial is lost; restore it from the backup"
  owner_check "intent/$serial"
  profile_read
  case $profile in
    *"$NL</cert>") ;;
    *)
      write tmp/profile "${profile%%"$NL</cert>$NL"*}$NL</cert>"
      commit tmp/profile "issued/$serial" # the commit point
      ;;
  esac
  reply_begin
  reply_field key forgotten
  reply_send
}
