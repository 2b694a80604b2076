# shellcheck shell=sh
# shellcheck disable=SC2154 # fields of the request
# Verb inventory: what this host knows of every serial, for a platform that has
# to catch up. A page of serials in order, from the one that was asked for; next=
# is where the following page begins.
#
# STATE SERIAL FENCE NAME CLIENT, where STATE is
#   revoked    for good
#   live       issued; its profile can be handed out whole
#   forgotten  issued; its profile was acknowledged and its keys are gone from here
#   adopted    issued by the PKI that was taken over; its keys were never here
#   foreign    the same, but it can be no client; NAME is its name, with %XX for odd bytes
#   bound      bound to a name and a client, and not issued
#   seen       somebody came with a fence for it, nothing more
# and FENCE is 0, NAME and CLIENT are - where the host does not know them.

inventory_page=1000

verb_inventory() {
  write_empty tmp/serials
  for inventory_directory in fence issued revoked foreign; do
    ls "$inventory_directory" >>tmp/serials || die 74 "the directory $inventory_directory cannot be read; check the disk"
  done
  # The serial that was asked for gets a line, so that its place can be found.
  echo "$serial" >>tmp/serials || write_failed
  sort -u -o tmp/unsorted tmp/serials || write_failed
  sed -n "/^$serial\$/,\$p" tmp/unsorted >tmp/behind || write_failed
  head -n "$((inventory_page + 1))" tmp/behind >tmp/page || write_failed

  inventory_profiles
  inventory_next=none
  inventory_count=0
  write_empty tmp/list
  exec 7>tmp/list || write_failed
  while IFS= read -r inventory_serial; do
    inventory_count=$((inventory_count + 1))
    if [ "$inventory_count" -gt "$inventory_page" ]; then
      inventory_next=$inventory_serial
    else
      inventory_line "$inventory_serial"
      [ -z "$inventory_line" ] || echo "$inventory_line" >&7 || write_failed
    fi
  done <tmp/page
  exec 7>&-
  reply_begin
  reply_field next "$inventory_next"
  reply_file tmp/list
}

# Which profiles of the page still have keys, and which a key that all share: two processes, not two
# for each serial.
inventory_profiles() {
  set -- /dev/null
  while IFS= read -r inventory_serial; do
    [ ! -e "issued/$inventory_serial" ] || set -- "$@" "issued/$inventory_serial"
  done <tmp/page
  inventory_keys=$(grep -lE '^<(tls-crypt-v2|key)>$' "$@") || [ $? -eq 1 ] || die 74 'a profile in issued cannot be read; check the disk'
  inventory_shared=$(grep -l '^<tls-crypt>$' "$@") || [ $? -eq 1 ] || die 74 'a profile in issued cannot be read; check the disk'
}

# inventory_line SERIAL: sets inventory_line, to nothing if the host does not know it.
inventory_line() {
  inventory_line='' inventory_name=- inventory_client=- inventory_verb='' inventory_fence=0
  [ ! -e "fence/$1" ] || read -r inventory_fence _ <"fence/$1" || :
  [ "$inventory_fence" = 0 ] || fence_whole "$1" "$inventory_fence"
  if [ -e "revoked/$1" ]; then
    inventory_state=revoked
    read -r inventory_name inventory_client _ <"revoked/$1" || :
  elif [ -e "intent/$1" ]; then
    inventory_state=bound
    read -r inventory_name inventory_client inventory_verb _ <"intent/$1" || :
    [ ! -e "issued/$1" ] || inventory_issued "$1"
  elif [ -e "issued/$1" ]; then
    die 70 "intent/$1 is lost; restore it from the backup"
  elif [ -e "foreign/$1" ]; then
    read -r _ inventory_name <"foreign/$1" || :
    inventory_line="foreign $1 $inventory_fence $inventory_name -"
    return
  elif [ -e "fence/$1" ]; then
    inventory_state=seen
  else
    return 0
  fi
  case $inventory_name:$inventory_client in
    -:- | [A-Za-z0-9]*:cli_*) ;;
    *) die 70 "the record of the serial $1 is damaged; restore it from the backup" ;;
  esac
  inventory_line="$inventory_state $1 $inventory_fence $inventory_name $inventory_client"
}

inventory_issued() {
  inventory_state=adopted
  [ "$inventory_verb" != adopt ] || return 0
  inventory_state=forgotten
  case $NL$inventory_keys$NL in *"${NL}issued/$1$NL"*) inventory_state=live ;; esac
  # A profile with the shared tls-crypt key and without a private one has nothing to forget.
  [ "$inventory_verb" != issue ] || return 0
  case $NL$inventory_shared$NL in *"${NL}issued/$1$NL"*) inventory_state=live ;; esac
}
