# shellcheck shell=sh
# shellcheck disable=SC2034,SC2154 # shared with the other parts
# An address and routes of a client's own: pub/ccd/NAME is what OpenVPN reads when the name
# connects, addresses/ADDRESS the serial that holds the address. Both belong to the serial
# that holds the name, and go with it.

# ccd_bounds: the addresses that this host has to give, as numbers: ccd_first to ccd_last.
# They are the last ones of the network, which OpenVPN gives to nobody by itself.
ccd_bounds() {
  conf_read
  ipv4_cidr "$conf_network" || die 70 'etc/host.conf is damaged; run install.sh again'
  ccd_mask=$ipv4_mask
  ccd_last=$(((ipv4 | (0xFFFFFFFF ^ ipv4_mask)) - 1))
  ccd_first=$((ccd_last - conf_static_addresses + 1))
}

# ccd_check: may this serial have the address that it asks for? One that was issued has it,
# whatever the host has to give now.
ccd_check() {
  [ -n "$address" ] || return 0
  ccd_bounds
  [ -e "issued/$serial" ] || ccd_check_range
  [ -e "addresses/$address" ] || return 0
  file_serial "addresses/$address"
  if [ "$file_serial" != "$serial" ] && [ ! -e "revoked/$file_serial" ]; then
    refuse 65 "the address has the live serial $file_serial; choose another, or revoke that client first"
  fi
}

ccd_check_range() {
  [ "$conf_static_addresses" -gt 0 ] || refuse 64 'this host has no addresses to give; run install.sh --static-addresses N on it'
  ipv4_parse "$address"
  if [ "$ipv4" -lt "$ccd_first" ] || [ "$ipv4" -gt "$ccd_last" ]; then
    ipv4_dotted "$ccd_first"
    ccd_range=$ipv4_dotted
    ipv4_dotted "$ccd_last"
    refuse 64 "address is not one that this host has to give; choose one from $ccd_range to $ipv4_dotted"
  fi
}

# ccd_write: both files, tmp/address and tmp/ccd, for the caller to sync and to move to their
# places. Sets ccd_new to those that there are. OpenVPN's user has to read the second.
ccd_write() {
  ccd_new=
  if [ -n "$address" ]; then
    write tmp/address "$serial"
    ccd_new=tmp/address
  fi
  ccd_text
  [ -n "$ccd_text" ] || return 0
  umask 022
  write tmp/ccd "$ccd_text"
  umask 077
  ccd_new="$ccd_new tmp/ccd"
}

ccd_text() {
  ccd_text="# $serial"
  if [ -n "$address" ]; then
    ipv4_dotted "$ccd_mask"
    ccd_text="$ccd_text${NL}ifconfig-push $address $ipv4_dotted"
  fi
  for ccd_route in $routes; do
    ipv4_cidr "$ccd_route"
    ipv4_dotted "$ipv4_mask"
    ccd_text="$ccd_text${NL}push \"route ${ccd_route%/*} $ipv4_dotted\""
  done
  [ -n "$address$routes" ] || ccd_text=
}

# ccd_held: the address that the intent of this serial names, if it still holds it, into
# ccd_held.
ccd_held() {
  ccd_held=
  [ -e "intent/$serial" ] || return 0
  read -r _ _ _ _ ccd_held _ <"intent/$serial" || :
  if ipv4_parse "$ccd_held" && [ -e "addresses/$ccd_held" ]; then
    file_serial "addresses/$ccd_held"
    [ "$file_serial" = "$serial" ] || ccd_held=
  else
    ccd_held=
  fi
}
