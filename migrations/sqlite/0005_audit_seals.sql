-- Sealed entries: the first `until_seq` entries were exported to a file, and may be removed from then on. What is
-- kept here is all that the rest of the log needs to be proven: the hash of the last sealed entry, and the roots of
-- the perfect subtrees over all sealed ones, the largest first, 32 bytes each. `told_by` is the entry
-- `audit.sealed`, which says the same in the log.
CREATE TABLE audit_seals (
  until_seq   INTEGER NOT NULL PRIMARY KEY CHECK (until_seq > 0),
  told_by     INTEGER NOT NULL UNIQUE CHECK (told_by > until_seq),
  leaf_hash   BLOB    NOT NULL CHECK (length(leaf_hash) = 32),
  roots       BLOB    NOT NULL CHECK (length(roots) > 0 AND length(roots) % 32 = 0),
  file        TEXT    NOT NULL,
  file_sha256 BLOB    NOT NULL CHECK (length(file_sha256) = 32)
) STRICT;

-- Only what is there is sealed, only further on, and only when the log's last entry tells of it. An empty log may
-- take all of them: it is being restored from a backup.
CREATE TRIGGER audit_seals_insert BEFORE INSERT ON audit_seals
WHEN EXISTS (SELECT 1 FROM audit_seals WHERE until_seq >= NEW.until_seq OR told_by >= NEW.told_by)
  OR NOT EXISTS (
    SELECT 1 FROM audit_head AS h WHERE h.one = 1 AND (h.seq = 0 OR h.seq = NEW.told_by
      AND EXISTS (SELECT 1 FROM audit_log WHERE seq = NEW.until_seq AND leaf_hash = NEW.leaf_hash)
      AND EXISTS (SELECT 1 FROM audit_log WHERE seq = NEW.told_by AND action = 'audit.sealed')))
BEGIN SELECT RAISE(ABORT, 'audit_seals: must be what the log tells'); END;

CREATE TRIGGER audit_seals_update BEFORE UPDATE ON audit_seals
BEGIN SELECT RAISE(ABORT, 'audit_seals: UPDATE refused'); END;

CREATE TRIGGER audit_seals_delete BEFORE DELETE ON audit_seals
BEGIN SELECT RAISE(ABORT, 'audit_seals: DELETE refused'); END;

-- The one way out of the log.
DROP TRIGGER audit_log_delete;
CREATE TRIGGER audit_log_delete BEFORE DELETE ON audit_log
WHEN NOT EXISTS (SELECT 1 FROM audit_seals WHERE until_seq >= OLD.seq)
BEGIN SELECT RAISE(ABORT, 'audit_log: DELETE refused'); END;

-- A restored log begins behind what was sealed.
DROP TRIGGER audit_head_update;
CREATE TRIGGER audit_head_update BEFORE UPDATE ON audit_head
WHEN NEW.one IS NOT OLD.one OR NOT coalesce(
     NEW.seq = OLD.seq + 1 AND EXISTS (SELECT 1 FROM audit_log WHERE seq = NEW.seq AND leaf_hash = NEW.leaf_hash)
  OR OLD.seq = 0 AND NOT EXISTS (SELECT 1 FROM audit_log)
     AND EXISTS (SELECT 1 FROM audit_seals WHERE until_seq = NEW.seq AND leaf_hash = NEW.leaf_hash),
  FALSE)
BEGIN SELECT RAISE(ABORT, 'audit_head: must follow the log'); END;
