-- Sealed entries: the first `until_seq` entries were exported to a file, and may be removed from then on. What is
-- kept here is all that the rest of the log needs to be proven: the hash of the last sealed entry, and the roots of
-- the perfect subtrees over all sealed ones, the largest first, 32 bytes each. `told_by` is the entry
-- `audit.sealed`, which says the same in the log.
CREATE TABLE audit_seals (
  until_seq   BIGINT NOT NULL PRIMARY KEY,
  told_by     BIGINT NOT NULL,
  leaf_hash   VARBINARY(32) NOT NULL,
  roots       VARBINARY(2048) NOT NULL,
  file        VARCHAR(255) NOT NULL,
  file_sha256 VARBINARY(32) NOT NULL,
  UNIQUE KEY audit_seals_told (told_by),
  CONSTRAINT audit_seals_until_seq CHECK (until_seq > 0),
  CONSTRAINT audit_seals_told_by CHECK (told_by > until_seq),
  CONSTRAINT audit_seals_leaf_hash CHECK (LENGTH(leaf_hash) = 32),
  CONSTRAINT audit_seals_roots CHECK (LENGTH(roots) > 0 AND LENGTH(roots) % 32 = 0),
  CONSTRAINT audit_seals_file_sha256 CHECK (LENGTH(file_sha256) = 32)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- Only what is there is sealed, only further on, and only when the log's last entry tells of it. An empty log may
-- take all of them: it is being restored from a backup.
CREATE TRIGGER audit_seals_insert BEFORE INSERT ON audit_seals FOR EACH ROW
BEGIN
  DECLARE head_seq BIGINT;
  DECLARE later, sealed, told INTEGER;
  SELECT seq INTO head_seq FROM audit_head WHERE one = 1 FOR UPDATE;
  SELECT COUNT(*) INTO later FROM audit_seals WHERE until_seq >= NEW.until_seq OR told_by >= NEW.told_by;
  SELECT COUNT(*) INTO sealed FROM audit_log WHERE seq = NEW.until_seq AND leaf_hash = NEW.leaf_hash LOCK IN SHARE MODE;
  SELECT COUNT(*) INTO told FROM audit_log WHERE seq = NEW.told_by AND action = 'audit.sealed' LOCK IN SHARE MODE;
  IF NOT (later = 0 AND NEW.told_by > NEW.until_seq
          AND (head_seq <=> 0 OR head_seq <=> NEW.told_by AND sealed = 1 AND told = 1)) THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'audit_seals: must be what the log tells';
  END IF;
END;

CREATE TRIGGER audit_seals_update BEFORE UPDATE ON audit_seals FOR EACH ROW
  SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'audit_seals: UPDATE refused';

CREATE TRIGGER audit_seals_delete BEFORE DELETE ON audit_seals FOR EACH ROW
  SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'audit_seals: DELETE refused';

-- Against TRUNCATE, as `truncate_guard` is for the others. It stays empty.
CREATE TABLE truncate_guard_seals (
  until_seq BIGINT NOT NULL PRIMARY KEY,
  CONSTRAINT truncate_guard_seal FOREIGN KEY (until_seq) REFERENCES audit_seals (until_seq)
) ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;

-- The one way out of the log.
DROP TRIGGER audit_log_delete;
CREATE TRIGGER audit_log_delete BEFORE DELETE ON audit_log FOR EACH ROW
BEGIN
  DECLARE found INTEGER;
  SELECT COUNT(*) INTO found FROM audit_seals WHERE until_seq >= OLD.seq;
  IF found = 0 THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'audit_log: DELETE refused';
  END IF;
END;

-- A restored log begins behind what was sealed.
DROP TRIGGER audit_head_update;
CREATE TRIGGER audit_head_update BEFORE UPDATE ON audit_head FOR EACH ROW
BEGIN
  DECLARE found, sealed, entries INTEGER;
  SELECT COUNT(*) INTO found FROM audit_log WHERE seq = NEW.seq AND leaf_hash = NEW.leaf_hash LOCK IN SHARE MODE;
  IF OLD.seq = 0 AND found = 0 THEN
    SELECT COUNT(*) INTO sealed FROM audit_seals WHERE until_seq = NEW.seq AND leaf_hash = NEW.leaf_hash;
    SELECT COUNT(*) INTO entries FROM audit_log;
  END IF;
  IF NOT (NEW.one <=> OLD.one
          AND (NEW.seq <=> OLD.seq + 1 AND found = 1 OR sealed <=> 1 AND entries <=> 0)) THEN
    SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'audit_head: must follow the log';
  END IF;
END;
